/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_ACCOUNT_FAULTS_H
#define RESTANTE_TESTS_ACCOUNT_FAULTS_H

/* The twin of the system calls that a change of the accounts file makes (linked by --wrap): counts them
 * while armed and makes one of them fail. One thread. */

/* Makes the n-th call from now on fail with `number`; n 0: none, only the trace is kept. */
void faults_arm(unsigned n, int number);
/* The name of the call that failed, or NULL. */
const char *faults_disarm(void);
/* The calls since the last arming, each followed by a blank. */
const char *faults_trace(void);

#endif
