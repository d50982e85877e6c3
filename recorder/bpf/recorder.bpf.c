/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* All programs that record, in one object: they share the slots. Which of them are loaded is user space's choice. */
#include "access.h"
#include "avc.h"
#include "syscalls.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
