oxv_unit_test(log_note oxv_log)
oxv_unit_test(log_tree oxv_log)
oxv_unit_test(log_writer oxv_log)
