# Targets that look at the sources: lint-format, lint-cppcheck, lint-layers, lint-tidy (slow), and lint for all of them.

set(facula_lint_checks format cppcheck layers tidy)
add_custom_target(lint COMMAND ${PROJECT_SOURCE_DIR}/scripts/lint.sh --build ${PROJECT_BINARY_DIR} ${facula_lint_checks}
                  USES_TERMINAL VERBATIM)
foreach(check IN LISTS facula_lint_checks)
    add_custom_target(lint-${check} COMMAND ${PROJECT_SOURCE_DIR}/scripts/lint.sh --build ${PROJECT_BINARY_DIR} ${check}
                      USES_TERMINAL VERBATIM)
endforeach()
