oxv_unit_test(sandbox oxv_sandbox)
oxv_unit_test(supervisor oxv_supervisor)
