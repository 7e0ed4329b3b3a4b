oxv_unit_test(log_writer oxv_log)
