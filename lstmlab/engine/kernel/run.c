/* A recurrence over rows of a batch, forward and backward.

The files of this folder are one source (`ccode.SOURCES` has their order). What is particular to a
cell is generated from its equations and stands before them: the numbers of GATES, STATES, VECTORS, FEEDS (gates that the recurrent product feeds) and SOURCES
(states that feed it), their tables, and the functions cell_forward and cell_backward.

Each thread carries its own rows of the batch through all steps, so that no step waits for
another thread. A step is a product of the rows with the packed recurrent matrix, panel by panel,
each panel as wide as a vector; what follows elementwise is done on a panel while it is in cache.
Input products are made for a few steps at a time, just before these steps, so that they are used
while they are in cache. Backward likewise makes the gradients of a few steps, and then adds what
these steps give to the gradients of the weights: nothing as long as the sequence is written that
is not kept for the backward pass.
*/

/* Operands that lie between two shares must be zero; `wide` holds finite numbers there, which is enough. */
static void clear_lines(const Job *j, int64_t from, int64_t to) {
    for (int64_t panel = 0; panel < GATES * tall_rows(j->hidden) / TALL; panel++)
        memset(j->tall + (panel * capacity(j) + from) * TALL, 0, (size_t)((to - from) * TALL) * sizeof(operand));
}

static void backward_share(Job *j, int64_t share) {
    int64_t H = j->hidden, first = first_row(j, share), count = first_row(j, share + 1) - first;
    Back *rows = allocate(count, sizeof *rows);
    Fed fed, of_input;
    int opened = open_fed(&fed, count_runs(FEED_RUNS) * count, GATES * H, ROUND)
        & open_fed(&of_input, count_runs(INPUT_RUNS) * INPUT_LINES, GATES * H, ROUND && j->grad_x);
    if (!rows || !opened) { j->failed = 1; goto done; }
    int64_t lines[2], bs[2], k = place(j, first, share), waiting = 0;
    for (int64_t step = j->high; step >= j->low - (j->low == 0); step--) {
        for (int64_t r = 0; r < count; r++) {
            int64_t b = first + r, line = step < 0 ? 0 : line_at(j, step, b);
            Back *row = rows + r;
            *row = (Back){.carry = j->carry + b * H, .units = j->grad_units + share * (GATES + VECTORS) * H, .b = b, .line = line};
            row->drop = drop_of(j, 0, b);
            row->restarted = j->resets && step < j->steps - 1 && j->resets[line_at(j, step + 1, b)];
            if (step < 0) continue;
            row->alive = is_alive(j, step, b);
            row->ahead = j->reverse ? j->batch : -j->batch;
            row->kept = j->kept + line * GATES * H;
            row->grad_output = j->grad_output + line * H;
            row->gradients = gradient_row(j, step, b);
            for (int s = 0; s < STATES; s++) row->old[s] = previous_row(j, s, step, b);
        }
        if (step < j->steps - 1) feed_runs(j, &fed, FEED_RUNS, step + 1, first, count);
        one_step_back(j, rows, &fed, count, step);
        if (step < 0) break;
        for (int64_t r = 0; r < count; r++) {
            lines[waiting] = step;
            bs[waiting++] = first + r;
            if (waiting == TOGETHER) { pack_lines(j, k++, lines, bs, TOGETHER); waiting = 0; }
        }
    }
    if (j->grad_x) input_gradients(j, &of_input, first, count);
    if (waiting) pack_lines(j, k, lines, bs, (int)waiting);
    if (TOGETHER > 1) clear_lines(j, k + (waiting > 0), place(j, first + count, share + 1));
done:
    release(rows);
    close_fed(&fed);
    close_fed(&of_input);
}

static void member(void *job) {
    Job *j = job;
    for (int64_t i; (i = __atomic_fetch_add(&j->next, 1, __ATOMIC_RELAXED)) < j->items;) j->work(j, i);
}
static void *own_member(void *job) { member(job); return 0; }

/* Do numbered items of work on `threads` threads: those of `team` (OpenMP's GOMP_parallel) if given, else our own. */
static void together(Job *j, void (*work)(Job *, int64_t), int64_t items, Team team) {
    j->work = work;
    j->items = items;
    j->next = 0;
    if (j->threads == 1) {
        member(j);
    } else if (team) {
        team(member, j, (unsigned)j->threads, 0);
    } else {
        pthread_t others[MAX_THREADS];
        int64_t started = 0;
        while (started < smaller(j->threads - 1, MAX_THREADS) && !pthread_create(&others[started], 0, own_member, j)) started++;
        member(j);
        while (started--) pthread_join(others[started], 0);
    }
}

int64_t forward(Job *j, Team team) {
    int64_t H = j->hidden;
    j->packed_ih = allocate(padded(H) * INPUTS * operands(j->features), sizeof(operand));
    j->packed_hh = allocate(padded(H) * SOURCES * FEEDS * operands(H), sizeof(operand));
    if (!j->packed_ih || !j->packed_hh) j->failed = 1;
    if (!j->failed) together(j, pack_forward, vectors_of(H), team);
    if (!j->failed) together(j, forward_share, j->threads, team);
    release(j->packed_ih);
    release(j->packed_hh);
    return j->failed;
}

int64_t backward(Job *j, Team team) {
    int64_t H = j->hidden, B = j->batch;
    int64_t most = B < BACK_LINES ? BACK_LINES / B : 1, blocks = (j->steps + most - 1) / most;
    j->span = (j->steps + blocks - 1) / blocks;
    j->low = 0;
    j->high = j->span - 1; /* as long as a block can be */
    int64_t K = capacity(j), tall = tall_rows(H) * GATES * K, wide = (padded(j->features) + SOURCES * padded(H)) * K;
    j->packed_ih = allocate(padded(j->features) * terms(j, INPUT_RUNS), sizeof(operand));
    j->packed_hh = allocate(padded(H) * SOURCES * terms(j, FEED_RUNS), sizeof(operand));
    j->tall = allocate(tall, sizeof(operand));
    j->wide = allocate(wide, sizeof(operand));
    j->gradients = allocate((j->span + 1) * B * GATES * H, sizeof(real));
    j->carry = allocate(STATES * B * H, sizeof(real));
    if (!j->packed_ih || !j->packed_hh || !j->tall || !j->wide || !j->gradients || !j->carry) j->failed = 1;
    if (!j->failed) {
        if (TOGETHER > 1) memset(j->wide, 0, (size_t)wide * sizeof(operand));
        memcpy(j->carry, j->grad_finals, (size_t)(STATES * B * H) * sizeof(real));
        together(j, pack_backward, panels_of(H) + (j->grad_x ? panels_of(j->features) : 0), team);
    }
    for (j->high = j->steps - 1; j->high >= 0 && !j->failed; j->high -= j->span) {
        j->low = j->high - j->span + 1 > 0 ? j->high - j->span + 1 : 0;
        together(j, backward_share, j->threads, team);
        if (!j->failed) together(j, weight_gradients, tall_rows(H) * GATES / TALL / PANELS_AT_ONCE + 1, team);
    }
    release(j->packed_ih);
    release(j->packed_hh);
    release(j->tall);
    release(j->wide);
    release(j->gradients);
    release(j->carry);
    return j->failed;
}

/* One function on an array, for tests: 0 exp, 1 sigmoid, 2 tanh, 3 log sigmoid. */
void elementwise(int64_t which, int64_t count, const real *from, real *to) {
    for (int64_t i = 0; i < count; i += LANES) {
        int n = (int)smaller(LANES, count - i);
        V x = load_some(from + i, n);
        V y = which == 0 ? op_exp(x) : which == 1 ? op_sigmoid(x) : which == 2 ? op_tanh(x) : op_log_sigmoid(x);
        store_some(to + i, y, n);
    }
}
