# Warnings and hardening for every target of ours.
add_library(oxv_flags INTERFACE)
target_include_directories(oxv_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(oxv_flags INTERFACE _GNU_SOURCE OXV_VERSION="${PROJECT_VERSION}")
target_compile_options(oxv_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wvla -Wstrict-prototypes
  -Wmissing-prototypes -Wswitch-enum -Wcast-qual -Wwrite-strings -Wundef -Wformat=2
  -Wimplicit-fallthrough -Werror
  -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fno-strict-overflow)
target_link_options(oxv_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)

if(OXV_SANITIZE)
  target_compile_options(oxv_flags INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_compile_definitions(oxv_flags INTERFACE OXV_SANITIZED=1)
  target_link_options(oxv_flags INTERFACE -fsanitize=address,undefined)
elseif(OXV_THREAD_SANITIZE)
  target_compile_options(oxv_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_compile_definitions(oxv_flags INTERFACE OXV_SANITIZED=1)
  target_link_options(oxv_flags INTERFACE -fsanitize=thread)
else()
  # Debian's compilers may predefine another level.
  target_compile_options(oxv_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(OXV_FUZZ)
  target_compile_options(oxv_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(OXV_TEST_HOOKS)
  target_compile_definitions(oxv_flags INTERFACE OXV_TEST_HOOKS=1)
endif()

function(oxv_program name)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_options(${name} PRIVATE -pie)
endfunction()
