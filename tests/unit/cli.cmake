oxv_unit_test(cli_text oxv_cli)
oxv_unit_test(cli_secrets oxv_cli)
