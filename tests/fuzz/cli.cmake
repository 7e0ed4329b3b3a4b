oxv_fuzz_target(cli_import oxv_cli)
oxv_fuzz_target(cli_csv oxv_cli)
oxv_fuzz_target(cli_token_uri oxv_cli)
