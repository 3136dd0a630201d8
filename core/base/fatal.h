/*
 * fatal - the end of the process, for broken promises only: no memory left, a template that is a bug, a broken library.
 *
 * One line on standard error, then abort. What strangers send never ends here.
 */
#ifndef BERTH_BASE_FATAL_H
#define BERTH_BASE_FATAL_H

_Noreturn void fatal(const char *what);
_Noreturn void fatal_no_memory(void);

#endif
