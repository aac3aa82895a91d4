/* `facula check`: a report made and printed. */
#ifndef FACULA_CLI_CHECK_H
#define FACULA_CLI_CHECK_H

#include "cli.h"

/* The report as JSON, or as a page for people. */
void print_report_json(fa_value *report);
void print_report(fa_value *report);

#endif
