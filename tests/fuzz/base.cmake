oxv_fuzz_target(fields oxv_base)
oxv_fuzz_target(text oxv_base)
