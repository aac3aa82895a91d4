# Installation: libraries, headers, pkg-config file, CMake package, command.

include(CMakePackageConfigHelpers)
set(facula_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/facula)

# The static library stands in a set of its own: only it makes a user's build look for the private dependencies.
install(TARGETS facula EXPORT facula-targets)
install(TARGETS facula_static EXPORT facula-static-targets)
install(FILES ${facula_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/facula)
install(FILES ${facula_umbrella} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/python/facula_recorder.py DESTINATION ${CMAKE_INSTALL_DATADIR}/facula)
install(EXPORT facula-targets NAMESPACE facula:: DESTINATION ${facula_cmake_dir})
install(EXPORT facula-static-targets NAMESPACE facula:: DESTINATION ${facula_cmake_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/facula-config.cmake.in facula-config.cmake
                              INSTALL_DESTINATION ${facula_cmake_dir})
write_basic_package_version_file(facula-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/facula-config.cmake ${PROJECT_BINARY_DIR}/facula-config-version.cmake
        DESTINATION ${facula_cmake_dir})

# Relative to the file itself, so that an installed tree can be moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_INCLUDEDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX}
           OUTPUT_VARIABLE facula_pc_includedir)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_LIBDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX}
           OUTPUT_VARIABLE facula_pc_libdir)
cmake_path(SET pc_dir NORMALIZE ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${pc_dir} OUTPUT_VARIABLE facula_pc_prefix)
configure_file(${PROJECT_SOURCE_DIR}/cmake/facula.pc.in facula.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/facula.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(FACULA_BUILD_CLI)
    install(TARGETS facula_cli)
endif()
