oxv_fuzz_target(url oxv_signer)
oxv_fuzz_target(oauth1 oxv_signer)
oxv_fuzz_target(glob oxv_match)
