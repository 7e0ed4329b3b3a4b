oxv_unit_test(sandbox oxv_sandbox)
