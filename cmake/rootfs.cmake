# `base`, the built-in rootfs: a folder tree made from the machine's packages (scripts/make-base.sh), at the place where
# the installed one is: share/squish/base beside bin/. Made again when one of its packages changes.
set(SQUISH_BASE_DIR ${PROJECT_BINARY_DIR}/share/squish/base)
set(base_inputs ${PROJECT_SOURCE_DIR}/scripts/make-base.sh)
foreach(package busybox-static musl ca-certificates tzdata)
  foreach(list /var/lib/dpkg/info/${package}.list /var/lib/dpkg/info/${package}:${CMAKE_LIBRARY_ARCHITECTURE}.list)
    if(EXISTS ${list})
      list(APPEND base_inputs ${list})
    endif()
  endforeach()
endforeach()
add_custom_command(OUTPUT ${SQUISH_BASE_DIR}.version
  COMMAND ${PROJECT_SOURCE_DIR}/scripts/make-base.sh ${SQUISH_BASE_DIR}
  DEPENDS ${base_inputs} COMMENT "Assembling the built-in rootfs" VERBATIM)
add_custom_target(base-rootfs ALL DEPENDS ${SQUISH_BASE_DIR}.version)
