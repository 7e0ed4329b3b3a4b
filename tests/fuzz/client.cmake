oxv_fuzz_target(json oxv_base)
oxv_fuzz_target(client_answer oxv_client)
