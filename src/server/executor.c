/* SPDX-License-Identifier: MIT */
#include "server/executor.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/container_of.h"

struct running {
    uv_work_t work;
    struct executor *executor;
    struct executor_device *device;
    struct maildrop_job *job;
};

/* Devices beyond the table share its last row. */
static struct executor_device *device_of(struct executor *executor, uint64_t device)
{
    for (uint32_t i = 0; i < executor->device_count; i++) {
        if (executor->devices[i].device == device) {
            return &executor->devices[i];
        }
    }
    if (executor->device_count == EXECUTOR_MOST_DEVICES) {
        return &executor->devices[EXECUTOR_MOST_DEVICES - 1];
    }
    struct executor_device *added = &executor->devices[executor->device_count++];
    *added = (struct executor_device){.device = device};
    added->last = &added->first;
    return added;
}

static void on_work(uv_work_t *work)
{
    struct running *running = work->data;
    running->job->run(running->job);
}

static void start(struct executor *executor, struct executor_device *device);

static void on_worked(uv_work_t *work, int status)
{
    (void)status; /* never cancelled */
    struct running *running = work->data;
    struct executor *executor = running->executor;
    struct executor_device *device = running->device;
    struct maildrop_job *job = running->job;
    free(running);
    device->running--;
    start(executor, device);
    job->complete(job);
}

static void start(struct executor *executor, struct executor_device *device)
{
    while (device->first != NULL && device->running < executor->most_running) {
        struct running *running = malloc(sizeof *running);
        if (running == NULL) {
            if (device->running == 0) {
                abort(); /* no job would ever end: let the master start us anew */
            }
            return; /* the next one that ends tries again */
        }
        struct maildrop_job *job = device->first;
        device->first = job->next;
        if (device->first == NULL) {
            device->last = &device->first;
        }
        device->running++;
        *running = (struct running){.executor = executor, .device = device, .job = job};
        running->work.data = running;
        (void)uv_queue_work(executor->loop, &running->work, on_work, on_worked); /* cannot fail */
    }
}

static void submit(struct maildrop_executor *interface, struct maildrop_job *job)
{
    struct executor *executor = CONTAINER_OF(interface, struct executor, interface);
    struct executor_device *device = device_of(executor, job->device);
    job->next = NULL;
    *device->last = job;
    device->last = &job->next;
    start(executor, device);
}

void executor_init(struct executor *executor, uv_loop_t *loop, uint32_t threads)
{
    char text[16];
    *executor = (struct executor){
        .interface = {.submit = submit}, .loop = loop, .most_running = (threads + 1) / 2};
    (void)snprintf(text, sizeof text, "%u", threads);
    (void)setenv("UV_THREADPOOL_SIZE", text, 1);
}
