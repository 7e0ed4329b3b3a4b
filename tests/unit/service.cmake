oxv_unit_test(wire oxv_wire)
oxv_unit_test(doc oxv_wire)
oxv_unit_test(channel oxv_wire)
