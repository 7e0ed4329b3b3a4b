oxv_unit_test(json oxv_base)
