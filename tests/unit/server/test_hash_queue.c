/* SPDX-License-Identifier: MIT */
#include "server/hash_queue.h"

#include <sched.h>
#include <sys/resource.h>

#include "base/container_of.h"
#include "cmocka_first.h"

enum { MEMORY_MOST = 200 };

struct work {
    struct hash_job job;
    uv_sem_t may_end;
    int policy, priority; /* of its thread */
    bool is_done, has_run;
};

static struct {
    uv_loop_t loop;
    struct hash_queue queue;
} fixture; /* the pool is one for the whole process */

static void run(struct hash_job *job)
{
    struct work *work = CONTAINER_OF(job, struct work, job);
    work->policy = sched_getscheduler(0);
    work->priority = getpriority(PRIO_PROCESS, 0);
    uv_sem_wait(&work->may_end);
}

static void done(struct hash_job *job, bool ran)
{
    struct work *work = CONTAINER_OF(job, struct work, job);
    work->is_done = true;
    work->has_run = ran;
}

static void add(struct work *work, uint64_t memory)
{
    *work = (struct work){.job = {.memory = memory, .run = run, .done = done}};
    assert_int_equal(uv_sem_init(&work->may_end, 0), 0);
    uv_update_time(&fixture.loop);
    hash_queue_add(&fixture.queue, &work->job);
}

static void wait_for(const struct work *work)
{
    while (!work->is_done) {
        (void)uv_run(&fixture.loop, UV_RUN_ONCE);
    }
}

static void end(struct work *work)
{
    uv_sem_post(&work->may_end);
    wait_for(work);
    assert_true(work->has_run);
    uv_sem_destroy(&work->may_end);
}

static int set_up(void **state)
{
    (void)state;
    if (uv_loop_init(&fixture.loop) < 0 ||
        hash_queue_init(&fixture.queue, &fixture.loop, MEMORY_MOST) < 0) {
        return -1;
    }
    hash_queue_start(&fixture.queue);
    return 0;
}

/* libuv waits for its threads at exit. */
static int tear_down(void **state)
{
    (void)state;
    uv_sem_post(&fixture.queue.is_impatient);
    return 0;
}

/* One is done when sessions leave time for it; the second has a share as soon as it has waited for that. */
static void test_who_waits_gets_a_share(void **state)
{
    (void)state;
    struct work first;
    struct work second;
    struct work third;
    int priority = getpriority(PRIO_PROCESS, 0);
    add(&first, 100);
    add(&second, 100);
    add(&third, 100);
    assert_int_equal(fixture.queue.yielding, 1);
    assert_true(fixture.queue.impatient == NULL ||
                uv_now(&fixture.loop) - second.job.since_ms >= HASH_PATIENCE_MS);

    wait_for(&third);
    assert_false(third.has_run);
    uv_sem_destroy(&third.may_end);
    assert_ptr_equal(fixture.queue.impatient, &second.job);
    end(&second);
    end(&first);
    assert_int_equal(first.policy, SCHED_IDLE);
    assert_int_equal(second.policy, SCHED_OTHER);
    assert_int_equal(second.priority, priority + 15 < 19 ? priority + 15 : 19);
    assert_int_equal(fixture.queue.memory, 0);
}

/* Where there is no room for another, nothing may be under way for long. */
static void test_one_runs_whatever_it_needs(void **state)
{
    (void)state;
    struct work first;
    struct work second;
    add(&first, 2 * MEMORY_MOST);
    assert_ptr_equal(fixture.queue.impatient, &first.job);
    add(&second, 1);
    assert_int_equal(fixture.queue.yielding, 0);
    end(&first);
    assert_int_equal(fixture.queue.yielding, 1);
    end(&second);
    assert_int_equal(first.policy, SCHED_OTHER);
    assert_int_equal(fixture.queue.memory, 0);
}

static void test_all_have_their_turn(void **state)
{
    (void)state;
    static struct work works[16];
    for (size_t i = 0; i < 16; i++) {
        add(&works[i], MEMORY_MOST / 2);
    }
    for (size_t i = 0; i < 16; i++) {
        assert_in_range(fixture.queue.memory, MEMORY_MOST / 2, MEMORY_MOST);
        end(&works[i]);
    }
    assert_int_equal(fixture.queue.memory, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_waits_gets_a_share),
        cmocka_unit_test(test_one_runs_whatever_it_needs),
        cmocka_unit_test(test_all_have_their_turn),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
