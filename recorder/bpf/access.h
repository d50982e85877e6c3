/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Records what AppArmor has rules for. */
#pragma once
#include "access_exec.h"
#include "access_hooks.h"
