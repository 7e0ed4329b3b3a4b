oxv_unit_test(vault_open oxv_vault)
oxv_unit_test(vault_tamper oxv_vault)
oxv_unit_test(vault_change oxv_vault)
oxv_unit_test(vault_sign oxv_vault)
