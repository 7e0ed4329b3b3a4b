oxv_fuzz_target(box oxv_vault)
oxv_fuzz_target(records oxv_vault)
oxv_fuzz_target(backup oxv_vault)
