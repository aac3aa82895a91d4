/* SIGINT and SIGTERM noted instead of obeyed, for runs that were opened so. */
#ifndef FA_TRAIN_SIGNALS_H
#define FA_TRAIN_SIGNALS_H

/* The first call installs the handlers, the last one gives back what was there before. A signal that the process
 * ignores (nohup) stays ignored. After one was noted, the next ends the process at once, as it does by default. */
void fa_signals_begin(void);
void fa_signals_end(void);
/* The signal that was noted; 0: none. */
int fa_signals_noted(void);

#endif
