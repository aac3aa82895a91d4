/* A locale whose numbers have a decimal comma, of the test's own: programs of users set theirs. */
#ifndef FA_TEST_COMMA_LOCALE_H
#define FA_TEST_COMMA_LOCALE_H

/* From here on, for the whole process: printf("%.1f", 0.5) gives "0,5", which is asserted. */
void comma_locale_begin(void);
void comma_locale_end(void);

#endif
