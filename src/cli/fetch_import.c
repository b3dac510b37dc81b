/* SPDX-License-Identifier: MIT */
/* restante fetch --import */
#include <stdio.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/fetch_command.h"
#include "switching/import.h"

static void show_ids(const struct import_report *report, bool dry_run)
{
    (void)printf("%s: %zu messages of %s %s known as retrieved", report->account, report->added,
                 report->path, dry_run ? "would be" : "are");
    if (report->known != 0) {
        (void)printf(", %zu were before", report->known);
    }
    (void)puts("");
}

static void show(void *owner, const struct import_report *report)
{
    const struct fetch_command *command = owner;
    switch (report->type) {
    case IMPORT_SECTION:
        if (report->path == NULL) {
            (void)printf("%s", report->text);
        } else {
            (void)printf("%s: its settings are in %s; read the comments there\n", report->account,
                         report->path);
        }
        break;
    case IMPORT_PASSWORD:
        if (report->path != NULL) {
            (void)printf("%s: its password is in %s\n", report->account, report->path);
        }
        break;
    case IMPORT_KEPT:
        (void)printf("%s: it stays as it is in %s\n", report->account, report->path);
        break;
    case IMPORT_IDS:
        show_ids(report, command->dry_run);
        break;
    case IMPORT_NO_IDS:
        (void)fprintf(stderr, "restante: %s: %s%s, so all that is on the server counts as new\n",
                      report->account, report->path == NULL ? "no file" : report->path,
                      report->path == NULL ? " tells what was retrieved" : " does not exist");
        break;
    case IMPORT_NOTE:
        (void)fprintf(stderr, "restante: %s\n", report->text);
        break;
    }
}

int fetch_import(struct fetch_command *command)
{
    struct error error;
    struct import_options options = {.file = command->import,
                                     .program = FOREIGN_PROGRAMS,
                                     .configuration = command->configuration,
                                     .state_folder = command->state_folder,
                                     .dry_run = command->dry_run,
                                     .report = show,
                                     .owner = command};
    if (command->operand_count != 0) {
        return cli_usage("fetch", "--import takes a file, and no accounts");
    }
    if (command->import_from != NULL) {
        options.program = foreign_program_find(command->import_from);
        if (options.program == FOREIGN_PROGRAMS) {
            return cli_usage("fetch", "--import-from takes fetchmail, getmail, mpop or fdm");
        }
    }
    return import_run(&options, &error) < 0 ? cli_fail(&error) : EX_OK;
}
