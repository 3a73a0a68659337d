include(GNUInstallDirs)
install(TARGETS squish squishd RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS squish-keeper squish-stager squish-forward squish-init RUNTIME DESTINATION libexec/squish)
