oxv_unit_test(cli_text oxv_cli)
oxv_unit_test(cli_secrets oxv_cli)
oxv_unit_test(cli_door oxv_cli)
target_sources(test_cli_door PRIVATE client_fake_door.c)
