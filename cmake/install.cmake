include(GNUInstallDirs)
foreach(program squish squishd)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
foreach(helper squish-keeper squish-stager squish-layers squish-forward squish-dns squish-fetch squish-build squish-procfs squish-sysinfo squish-init)
  if(TARGET ${helper})
    install(TARGETS ${helper} RUNTIME DESTINATION libexec/squish)
  endif()
endforeach()

# The rootfs keeps its hard links and times, which install(DIRECTORY) would lose; it is swapped in whole.
install(CODE "
  set(to \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/squish\")
  message(STATUS \"Installing: \${to}/base\")
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/scripts/install-base.sh \"${SQUISH_BASE_DIR}\" \"\${to}/base\"
                  COMMAND_ERROR_IS_FATAL ANY)")
if(SQUISH_EXAMPLES)
  install(DIRECTORY ${PROJECT_BINARY_DIR}/examples/ DESTINATION share/squish/examples USE_SOURCE_PERMISSIONS
          PATTERN count EXCLUDE)
endif()

foreach(section 1 5 8)
  file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.${section})
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
# completions/SHELL/FILE, each FILE named as its shell looks for it: squish, _squish, squish.fish.
foreach(shell_and_place bash:bash-completion/completions zsh:zsh/site-functions fish:fish/vendor_completions.d)
  string(REPLACE ":" ";" parts ${shell_and_place})
  list(GET parts 0 shell)
  list(GET parts 1 place)
  file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/completions/${shell}/*)
  install(FILES ${files} DESTINATION share/${place})
endforeach()

# All that is installed, and no tests or benchmarks.
add_custom_target(product DEPENDS base-rootfs)
foreach(part squish squishd squish-keeper squish-stager squish-layers squish-forward squish-dns squish-fetch squish-build squish-procfs squish-sysinfo squish-init examples)
  if(TARGET ${part})
    add_dependencies(product ${part})
  endif()
endforeach()
