/*
 * The life of one app's releases, with everything that may go wrong around it, for spin to go through exhaustively.
 *
 * Releases 1..RELEASES are pushed in order; WORKERS take them through build, rollout and going live. A worker may die before any of its actions, stand still for longer
 * than its lease at any of them, and lose a call or its answer; an operator may cancel. README.md maps the names here to the code.
 *
 * One atomic block is one statement in Postgres, or one request as AWS carries it out. Between them everything may happen. A mutation (-DNO_FENCE and so on) leaves one
 * of the engine's safeguards out; check.py demands that spin then finds what goes wrong.
 */
#ifndef RELEASES
#define RELEASES 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef FREEZES
#define FREEZES 1
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#define WORKERS 2
#define DEPLOYMENTS 12 /* of ECS, at most; an assertion says when that is too few */

/* States of a release, and its steps. */
#define NONE 0
#define QUEUED 1
#define RUNNING 2
#define LIVE 3
#define FAILED 4
#define SUPERSEDED 5
#define CANCELLED 6

#define BUILD 0
#define ROLLOUT 1
#define GO_LIVE 2

/* Why a release is to be halted. */
#define SUPERSEDE 1
#define CANCEL 2

/* What becomes of a release when nothing disturbs it. */
#define GOOD 0
#define BREAKS_IN_BUILD 1
#define BREAKS_IN_ROLLOUT 2

/* What AWS says of a build or of a deployment. */
#define GOING 1
#define SUCCEEDED 2
#define BROKEN 3
#define STOPPED 4

typedef Release {
    byte state;
    byte step;
    byte attempt;    /* 2: tried before, without headway */
    byte holder;     /* the worker that has its lease's token; 0: nobody */
    bool leased;     /* and the lease has not run out */
    byte halt;
    bool build;      /* the build's id is on record */
    byte deployment; /* ECS's, as recorded */
    byte put_back;   /* the one that puts back what was live */
    bool asked       /* the intent of an UpdateService was committed */
};

/* Postgres */
Release release[RELEASES + 1];
byte live;            /* the row in deployments */

/* AWS */
byte builds[RELEASES + 1]; /* how many StartBuild made */
byte build_says[RELEASES + 1];
byte primary;         /* deployment of the service; 0: scaled to nothing */
byte made;            /* the newest deployment */
byte runs[DEPLOYMENTS + 1]; /* whose task definition it has */
byte says[DEPLOYMENTS + 1];
byte steady;          /* the release of the last deployment that completed: where the breaker goes back to */

/* The world */
byte nature[RELEASES + 1];
byte pushed, crashes, freezes, losses, cancels;
byte busy;            /* workers that are in the middle of something */

inline push(r)
{
    atomic {
        if
        :: r > 1 && release[r - 1].state == QUEUED -> release[r - 1].state = SUPERSEDED
        :: r > 1 && release[r - 1].state == RUNNING && release[r - 1].step == BUILD && release[r - 1].halt == 0 ->
            release[r - 1].halt = SUPERSEDE
        :: else
        fi;
        release[r].state = QUEUED;
        pushed = r
    }
}

#define IS_UNDER_WAY(r) (release[r].state == QUEUED || release[r].state == RUNNING)
#define IS_QUIET (release[1].state != RUNNING && release[RELEASES].state != RUNNING)
#define ALL_ENDED (pushed == RELEASES && !IS_UNDER_WAY(1) && !IS_UNDER_WAY(RELEASES))

#ifdef NO_FENCE /* a move asks only whether the release still runs, not whose it is */
#define HOLDS(r) (release[r].state == RUNNING)
#else
#define HOLDS(r) (release[r].state == RUNNING && release[r].holder == me)
#endif

#ifdef TWO_AT_ONCE /* without the unique index, and without claim's look at the app's other releases */
#define MAY_BEGIN(r) true
#else
#define MAY_BEGIN(r) (r == 1 || !IS_UNDER_WAY(r - 1))
#endif
#define IS_DUE(r) ((release[r].state == RUNNING && !release[r].leased) || (release[r].state == QUEUED && MAY_BEGIN(r)))

/* ---- a worker ---- */

/* It dies here, and is started anew: it knows nothing, and its lease runs out. */
#define MAY_DIE                                                                                                        \
    if                                                                                                                 \
    :: atomic { crashes < CRASHES ->                                                                                   \
        crashes++;                                                                                                     \
        if :: release[r].holder == me -> release[r].leased = false :: else fi;                                         \
        goto idle }                                                                                                    \
    :: true                                                                                                            \
    fi

inline let_go(n)
{
    release[r].attempt = n;
    release[r].holder = 0;
    release[r].leased = false
}

inline end(with)
{
    assert(IS_UNDER_WAY(r)); /* nothing ends twice */
    release[r].state = with;
    release[r].holder = 0;
    release[r].leased = false
}

/* An intent is committed, and the lease is renewed with it. */
#define INTEND(remember)                                                                                               \
    if                                                                                                                 \
    :: atomic { HOLDS(r) -> release[r].leased = true; remember }                                                       \
    :: atomic { !HOLDS(r) -> goto idle }                                                                               \
    fi

/* As ECS carries it out: a service that has this task definition already gets no new deployment. which 0: scaled to nothing. */
inline update_service(which)
{
    if
    :: which == 0 -> primary = 0
    :: which != 0 && primary != 0 && runs[primary] == which && says[primary] != BROKEN -> skip
    :: else ->
        made++;
        assert(made <= DEPLOYMENTS);
        primary = made;
        runs[primary] = which;
        says[primary] = GOING
    fi
}

/* The call and what comes of it: an answer, with its effect or without; d is the deployment that the answer names. */
inline call_update_service(which)
{
    if
    :: atomic { update_service(which); d = primary; answered = true }
    :: atomic { losses < LOSSES -> losses++; update_service(which); answered = false }
    :: atomic { losses < LOSSES -> losses++; answered = false }
    fi
}

inline call_start_build()
{
    if
    :: atomic { begin_build(); answered = true }
    :: atomic { losses < LOSSES -> losses++; begin_build(); answered = false }
    :: atomic { losses < LOSSES -> losses++; answered = false }
    fi
}

inline begin_build()
{
#ifdef NO_TOKEN /* CodeBuild has forgotten the idempotency token, or none is given */
    builds[r]++; build_says[r] = GOING
#else
    if
    :: builds[r] == 0 -> builds[r] = 1; build_says[r] = GOING
    :: else
    fi
#endif
    ;
    assert(builds[r] <= 1) /* nothing is built twice */
}

proctype Worker(byte me)
{
    byte r, d;
    bool answered;

idle:
    atomic { r = 0; d = 0; answered = false; if :: busy & (1 << me) -> busy = busy & ~(1 << me) :: else fi }
end_idle:
    if
    :: atomic { IS_DUE(1) -> r = 1 }
    :: atomic { RELEASES > 1 && IS_DUE(RELEASES) -> r = RELEASES }
    fi;
    atomic { /* claim; what the guard saw may be gone by now */
        if
        :: IS_DUE(r) ->
            release[r].state = RUNNING;
            release[r].holder = me;
            release[r].leased = true;
            release[r].attempt = (release[r].attempt < 2 -> release[r].attempt + 1 : 2);
            busy = busy | (1 << me)
        :: else -> goto idle
        fi
    }

turn:
    MAY_DIE;
    if
    :: atomic { !HOLDS(r) -> goto idle }
    :: atomic { HOLDS(r) && release[r].halt != 0 && release[r].step == BUILD -> goto halt_build }
    :: atomic { HOLDS(r) && release[r].halt != 0 && release[r].step != BUILD -> goto halt_rollout }
    :: atomic { HOLDS(r) && release[r].halt == 0 && release[r].step == BUILD -> goto build }
    :: atomic { HOLDS(r) && release[r].halt == 0 && release[r].step == ROLLOUT -> goto rollout }
    :: atomic { HOLDS(r) && release[r].halt == 0 && release[r].step == GO_LIVE -> goto go_live }
    fi;

    /* step_build.c */
build:
    if
    :: release[r].build -> goto look_at_build
#ifndef NO_LOOK_UP
    :: !release[r].build && release[r].attempt > 1 && builds[r] > 0 -> goto keep_build
    :: !release[r].build && (release[r].attempt <= 1 || builds[r] == 0)
#else
    :: !release[r].build
#endif
    fi;
#ifdef NO_INTENT
    skip;
#else
    INTEND(skip);
#endif
    MAY_DIE;
    call_start_build();
    MAY_DIE;
    if
    :: answered -> goto keep_build
    :: !answered -> goto retry
    fi;
keep_build:
    atomic {
        if
        :: HOLDS(r) -> release[r].build = true
        :: else -> goto idle
        fi
    };
    goto wait;
look_at_build:
    if
    :: build_says[r] == GOING -> goto wait
    :: build_says[r] == SUCCEEDED -> goto next
    :: build_says[r] == BROKEN || build_says[r] == STOPPED -> goto fail
    fi;

    /* step_rollout.c */
rollout:
    if
    :: release[r].deployment == 0 -> goto deploy
    :: release[r].deployment != 0 && says[release[r].deployment] == BROKEN && live == 0 && primary == release[r].deployment -> goto withdraw
    :: release[r].deployment != 0 && says[release[r].deployment] == BROKEN && !(live == 0 && primary == release[r].deployment) -> goto fail
    :: release[r].deployment != 0 && says[release[r].deployment] != BROKEN && primary != release[r].deployment ->
#ifdef NO_PRIMARY_CHECK
        goto wait_or_next
#else
        goto deploy /* somebody has deployed over it: put right */
#endif
    :: release[r].deployment != 0 && says[release[r].deployment] == GOING && primary == release[r].deployment -> goto wait
    :: release[r].deployment != 0 && says[release[r].deployment] == SUCCEEDED && primary == release[r].deployment -> goto next
    fi;
#ifdef NO_PRIMARY_CHECK
wait_or_next:
    if
    :: says[release[r].deployment] == SUCCEEDED -> goto next
    :: says[release[r].deployment] == STOPPED -> goto next /* can't be seen any more */
    :: else -> goto wait
    fi;
#endif
deploy:
    INTEND(release[r].asked = true);
    MAY_DIE;
    call_update_service(r);
    MAY_DIE;
    if
    :: answered
    :: !answered -> goto retry_or_late
    fi;
    atomic {
        if
        :: HOLDS(r) -> release[r].deployment = d
        :: else -> goto late
        fi
    };
    goto wait;
withdraw: /* a first release that fails: to no tasks */
    INTEND(skip);
    MAY_DIE;
    call_update_service(0);
    MAY_DIE;
    if
    :: answered && HOLDS(r) -> goto fail
    :: answered && !HOLDS(r) -> goto late
    :: !answered -> goto retry_or_late
    fi;

    /* step_live.c */
go_live:
#ifndef NO_PRIMARY_CHECK
    if
    :: primary == 0 || runs[primary] != r -> goto put_right
    :: primary != 0 && runs[primary] == r && says[primary] == GOING -> goto wait
    :: primary != 0 && runs[primary] == r && says[primary] == BROKEN -> goto wait /* the breaker goes back by itself; then put right */
    :: primary != 0 && runs[primary] == r && says[primary] == SUCCEEDED
    fi;
#endif
    MAY_DIE;
    atomic {
        if
        :: HOLDS(r) ->
            assert(r > live); /* an older release never takes a newer one's place */
            live = r;
            end(LIVE)
        :: else
        fi
    };
    goto idle;
put_right:
    INTEND(skip);
    MAY_DIE;
    call_update_service(r);
    MAY_DIE;
    if
    :: answered && HOLDS(r) -> goto wait
    :: answered && !HOLDS(r) -> goto late
    :: !answered -> goto retry_or_late
    fi;

    /* halt.c */
halt_build:
    if
    :: builds[r] > 0 -> INTEND(skip); MAY_DIE; atomic { if :: build_says[r] == GOING -> build_says[r] = STOPPED :: else fi }
    :: builds[r] == 0
    fi;
    goto halted;
halt_rollout:
    if
    :: !release[r].asked -> goto halted
    :: release[r].asked && release[r].put_back != 0 && live != 0 && primary == release[r].put_back && says[primary] == SUCCEEDED -> goto halted
    :: release[r].asked && release[r].put_back != 0 && live != 0 && primary == release[r].put_back && says[primary] == GOING -> goto wait
    :: release[r].asked && release[r].put_back != 0 && live == 0 && primary == 0 -> goto halted
    :: release[r].asked && !(release[r].put_back != 0 && ((live != 0 && primary == release[r].put_back) || (live == 0 && primary == 0)))
    fi;
    INTEND(skip);
    MAY_DIE;
    call_update_service(live);
    MAY_DIE;
    if
    :: answered
    :: !answered -> goto retry_or_late
    fi;
    atomic {
        if
        :: HOLDS(r) -> release[r].put_back = (d == 0 -> DEPLOYMENTS : d)
        :: else -> goto late
        fi
    };
    goto wait;
halted:
    MAY_DIE;
    atomic {
        if
        :: HOLDS(r) -> if :: release[r].halt == SUPERSEDE -> end(SUPERSEDED) :: else -> end(CANCELLED) fi
        :: else
        fi
    };
    goto idle;

    /* move.c */
wait:
    MAY_DIE;
    atomic { if :: HOLDS(r) -> let_go(0) :: else fi };
    goto idle;
retry_or_late:
    if
    :: atomic { HOLDS(r) -> goto retry }
    :: atomic { !HOLDS(r) -> goto late }
    fi;
retry:
    MAY_DIE;
    atomic { if :: HOLDS(r) -> let_go(release[r].attempt) :: else fi };
    goto idle;
next:
    MAY_DIE;
    atomic {
        if
        :: HOLDS(r) && release[r].halt == 0 -> release[r].step++; release[r].attempt = 1; release[r].leased = true
        :: HOLDS(r) && release[r].halt != 0
        :: else -> goto idle
        fi
    };
    goto turn;
fail:
    MAY_DIE;
    atomic { if :: HOLDS(r) -> end(FAILED) :: else fi };
    goto idle;

    /* A call was made that changes what the service runs, and meanwhile another worker has the release: it may have come last. */
late:
#ifdef NO_LATE_CHECK
    goto idle;
#else
    MAY_DIE;
    IS_QUIET; /* whoever rolls out looks itself */
    if
    :: atomic { (live == 0 && primary == 0) || (live != 0 && primary != 0 && runs[primary] == live) -> goto idle }
    :: atomic { IS_QUIET && !((live == 0 && primary == 0) || (live != 0 && primary != 0 && runs[primary] == live)) -> d = live }
    :: atomic { !IS_QUIET -> goto late }
    fi;
    MAY_DIE;
    call_update_service(d);
    goto late
#endif
}

/* ---- around the workers ---- */

proctype Aws()
{
    byte back;
end_aws:
    do
    :: atomic { build_says[1] == GOING -> build_says[1] = (nature[1] == BREAKS_IN_BUILD -> BROKEN : SUCCEEDED) }
    :: atomic { RELEASES > 1 && build_says[RELEASES] == GOING -> build_says[RELEASES] = (nature[RELEASES] == BREAKS_IN_BUILD -> BROKEN : SUCCEEDED) }
    :: atomic { primary != 0 && says[primary] == GOING && nature[runs[primary]] != BREAKS_IN_ROLLOUT ->
        says[primary] = SUCCEEDED; steady = runs[primary] }
    :: atomic { primary != 0 && says[primary] == GOING && nature[runs[primary]] == BREAKS_IN_ROLLOUT ->
        says[primary] = BROKEN;
        back = steady;
        if
        :: back != 0 -> update_service(back)
        :: else
        fi }
    od
}

/* Time stands still for a worker until its lease has run out. */
proctype Freezer()
{
end_freezer:
    do
    :: atomic { freezes < FREEZES && release[1].leased -> freezes++; release[1].leased = false }
    :: atomic { freezes < FREEZES && RELEASES > 1 && release[RELEASES].leased -> freezes++; release[RELEASES].leased = false }
    od
}

proctype Operator()
{
end_operator:
    do
    :: atomic { cancels < CANCELS && release[1].state == QUEUED -> cancels++; release[1].state = CANCELLED }
    :: atomic { cancels < CANCELS && release[1].state == RUNNING && release[1].halt != CANCEL -> cancels++; release[1].halt = CANCEL }
    :: atomic { RELEASES > 1 && cancels < CANCELS && release[RELEASES].state == RUNNING && release[RELEASES].halt != CANCEL ->
        cancels++; release[RELEASES].halt = CANCEL }
    od
}

#define IS_RIGHT ((live == 0 && primary == 0) || (live != 0 && primary != 0 && runs[primary] == live))
#define IS_AT_REST (ALL_ENDED && busy == 0)

/* When all is over: what AWS runs is what berth says, and that is the newest good release. */
proctype Observer()
{
end_observer:
    atomic {
        IS_AT_REST && (primary == 0 || says[primary] != GOING) ->
        assert(IS_RIGHT);
        assert(release[RELEASES].state == LIVE || release[RELEASES].state == CANCELLED || nature[RELEASES] != GOOD);
        assert(release[1].state != LIVE || live >= 1);
        assert(release[RELEASES].state != LIVE || live == RELEASES)
    }
}

init {
    byte i = 1;
    atomic {
        do
        :: i <= RELEASES ->
            if :: nature[i] = GOOD :: nature[i] = BREAKS_IN_BUILD :: nature[i] = BREAKS_IN_ROLLOUT fi;
            i++
        :: else -> break
        od;
        run Worker(1);
        run Worker(2);
        run Aws();
        run Freezer();
        run Operator();
        run Observer()
    };
    push(1);
#if RELEASES > 1
    push(2)
#endif
}

#ifdef PROGRESS
ltl ends { <> (IS_AT_REST) }
#endif
