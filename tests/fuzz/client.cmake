oxv_fuzz_target(json oxv_base)
