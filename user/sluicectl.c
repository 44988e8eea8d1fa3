// SPDX-License-Identifier: Apache-2.0
/* sluicectl: see cli/cli.h. */
#include "cli/cli.h"

int main(int count, char **arguments)
{
	return cli_main(count - 1, arguments + 1);
}
