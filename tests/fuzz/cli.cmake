oxv_fuzz_target(cli_import oxv_cli)
