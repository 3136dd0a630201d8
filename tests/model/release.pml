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
Release releases[RELEASES + 1];
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
        :: r > 1 && releases[r - 1].state == QUEUED -> releases[r - 1].state = SUPERSEDED
        :: r > 1 && releases[r - 1].state == RUNNING && releases[r - 1].step == BUILD && releases[r - 1].halt == 0 ->
            releases[r - 1].halt = SUPERSEDE
        :: else
        fi;
        releases[r].state = QUEUED;
        pushed = r
    }
}

#define IS_UNDER_WAY(r) (releases[r].state == QUEUED || releases[r].state == RUNNING)
#define ALL_ENDED (pushed == RELEASES && !IS_UNDER_WAY(1) && !IS_UNDER_WAY(RELEASES))

#ifdef NO_FENCE /* a move asks only whether the release still runs, not whose it is */
#define HOLDS(r) (releases[r].state == RUNNING)
#else
#define HOLDS(r) (releases[r].state == RUNNING && releases[r].holder == me)
#endif

#ifdef TWO_AT_ONCE /* without the unique index, and without claim's look at the app's other releases */
#define MAY_BEGIN(r) true
#else
#define MAY_BEGIN(r) (r == 1 || !IS_UNDER_WAY(r - 1))
#endif
#define IS_DUE(r) ((releases[r].state == RUNNING && !releases[r].leased) || (releases[r].state == QUEUED && MAY_BEGIN(r)))

#define IS_ROLLING_OUT(r) (releases[r].state == RUNNING && releases[r].step == ROLLOUT)

/* What AWS runs is what berth says. */
#define IS_RIGHT ((live == 0 && primary == 0) || (live != 0 && primary != 0 && runs[primary] == live))

/* ---- a worker ---- */

/* It dies here, and is started anew: it knows nothing, and its lease runs out. */
#define MAY_DIE                                                                                                        \
    if                                                                                                                 \
    :: atomic { crashes < CRASHES ->                                                                                   \
        crashes++;                                                                                                     \
        if :: releases[r].holder == me -> releases[r].leased = false :: else fi;                                         \
        goto idle }                                                                                                    \
    :: true                                                                                                            \
    fi

inline let_go(n)
{
    releases[r].attempt = n;
    releases[r].holder = 0;
    releases[r].leased = false
}

inline end(with)
{
    assert(IS_UNDER_WAY(r)); /* nothing ends twice */
    releases[r].state = with;
    releases[r].holder = 0;
    releases[r].leased = false
}

/* An intent is committed, and the lease is renewed with it. */
#define INTEND(remember)                                                                                               \
    if                                                                                                                 \
    :: atomic { HOLDS(r) -> releases[r].leased = true; remember }                                                       \
    :: atomic { !HOLDS(r) -> goto idle }                                                                               \
    fi

/* Right before each request: is there lease left for it, by the worker's own clock? If not, the call is not made. */
#define HAS_TIME (releases[r].holder == me && releases[r].leased)
#if defined(NO_GUARD)
#define GUARD skip
#define SEND true
#elif defined(LATE_CALLS) /* it may stand still between that question and the request, too; the request comes while the next release still rolls out */
#define GUARD if :: HAS_TIME :: !HAS_TIME -> goto idle fi
#define SEND (HAS_TIME || IS_ROLLING_OUT(1) || IS_ROLLING_OUT(RELEASES))
#elif defined(ENDLESS_CALLS) /* or at any time at all */
#define GUARD if :: HAS_TIME :: !HAS_TIME -> goto idle fi
#define SEND true
#else
#define GUARD if :: atomic { !HAS_TIME -> goto idle } :: HAS_TIME fi
#define SEND HAS_TIME
#endif

/* As ECS carries it out: a service that has this task definition already gets no new deployment. which 0: scaled to nothing. */
inline update_service(which)
{
    if
    :: which == 0 -> primary = 0
    :: which != 0 && primary != 0 && runs[primary] == which && says[primary] != BROKEN -> skip
    :: else ->
        if :: primary != 0 && says[primary] == GOING -> says[primary] = STOPPED :: else fi;
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
    GUARD;
    if
    :: atomic { SEND -> update_service(which); d = primary; answered = true }
    :: atomic { SEND && losses < LOSSES -> losses++; update_service(which); answered = false }
    :: atomic { SEND && losses < LOSSES -> losses++; answered = false }
    :: atomic { !(SEND) -> goto idle }
    fi
}

inline call_start_build()
{
    GUARD;
    if
    :: atomic { SEND -> begin_build(); answered = true }
    :: atomic { SEND && losses < LOSSES -> losses++; begin_build(); answered = false }
    :: atomic { SEND && losses < LOSSES -> losses++; answered = false }
    :: atomic { !(SEND) -> goto idle }
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
            releases[r].state = RUNNING;
            releases[r].holder = me;
            releases[r].leased = true;
            releases[r].attempt = (releases[r].attempt < 2 -> releases[r].attempt + 1 : 2);
            busy = busy | (1 << me)
        :: else -> goto idle
        fi
    }

turn:
    MAY_DIE;
    if
    :: atomic { !HOLDS(r) -> goto idle }
    :: atomic { HOLDS(r) && releases[r].halt != 0 && releases[r].step == BUILD -> goto halt_build }
    :: atomic { HOLDS(r) && releases[r].halt != 0 && releases[r].step != BUILD -> goto halt_rollout }
    :: atomic { HOLDS(r) && releases[r].halt == 0 && releases[r].step == BUILD -> goto build }
    :: atomic { HOLDS(r) && releases[r].halt == 0 && releases[r].step == ROLLOUT -> goto rollout }
    :: atomic { HOLDS(r) && releases[r].halt == 0 && releases[r].step == GO_LIVE -> goto go_live }
    fi;

    /* step_build.c */
build:
    if
    :: releases[r].build -> goto look_at_build
#ifndef NO_LOOK_UP
    :: !releases[r].build && releases[r].attempt > 1 && builds[r] > 0 -> goto keep_build
    :: !releases[r].build && (releases[r].attempt <= 1 || builds[r] == 0)
#else
    :: !releases[r].build
#endif
    fi;
    INTEND(skip);
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
        :: HOLDS(r) -> releases[r].build = true
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
    :: releases[r].deployment == 0 -> goto deploy
#ifdef TRUST_BREAKER /* it goes back to what last completed, which need not be what was live */
    :: releases[r].deployment != 0 && says[releases[r].deployment] == BROKEN && primary == releases[r].deployment -> goto withdraw
    :: releases[r].deployment != 0 && says[releases[r].deployment] == BROKEN && primary != releases[r].deployment -> goto fail
#else
    :: releases[r].deployment != 0 && says[releases[r].deployment] == BROKEN && !IS_RIGHT -> goto withdraw
    :: releases[r].deployment != 0 && says[releases[r].deployment] == BROKEN && IS_RIGHT -> goto fail
#endif
    :: releases[r].deployment != 0 && says[releases[r].deployment] != BROKEN && primary != releases[r].deployment ->
#ifdef NO_PRIMARY_CHECK
        goto wait_or_next
#else
        goto deploy /* somebody has deployed over it: put right */
#endif
    :: releases[r].deployment != 0 && says[releases[r].deployment] == GOING && primary == releases[r].deployment -> goto wait
    :: releases[r].deployment != 0 && says[releases[r].deployment] == SUCCEEDED && primary == releases[r].deployment -> goto next
    fi;
#ifdef NO_PRIMARY_CHECK
wait_or_next:
    if
    :: says[releases[r].deployment] == SUCCEEDED -> goto next
    :: says[releases[r].deployment] == STOPPED -> goto next /* can't be seen any more */
    :: else -> goto wait
    fi;
#endif
deploy:
#ifdef NO_INTENT /* it is written down only once AWS has answered */
    INTEND(skip);
#else
    INTEND(releases[r].asked = true);
#endif
    MAY_DIE;
    call_update_service(r);
    MAY_DIE;
    if
    :: answered
    :: !answered -> goto retry
    fi;
    atomic {
        if
        :: HOLDS(r) -> releases[r].deployment = d; releases[r].asked = true
        :: else -> goto idle
        fi
    };
    goto wait;
withdraw: /* back to what was live; a first release: to no tasks */
    INTEND(skip);
    MAY_DIE;
    call_update_service(live);
    MAY_DIE;
    if
    :: answered -> goto fail
    :: !answered -> goto retry
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
    :: answered -> goto wait
    :: !answered -> goto retry
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
    :: !releases[r].asked -> goto halted
    :: releases[r].asked && releases[r].put_back != 0 && live != 0 && primary == releases[r].put_back && says[primary] == SUCCEEDED -> goto halted
    :: releases[r].asked && releases[r].put_back != 0 && live != 0 && primary == releases[r].put_back && says[primary] == GOING -> goto wait
    :: releases[r].asked && releases[r].put_back != 0 && live == 0 && primary == 0 -> goto halted
    :: releases[r].asked && !(releases[r].put_back != 0 && ((live != 0 && primary == releases[r].put_back) || (live == 0 && primary == 0)))
    fi;
    INTEND(skip);
    MAY_DIE;
    call_update_service(live);
    MAY_DIE;
    if
    :: answered
    :: !answered -> goto retry
    fi;
    atomic {
        if
        :: HOLDS(r) -> releases[r].put_back = (d == 0 -> DEPLOYMENTS : d)
        :: else -> goto idle
        fi
    };
    goto wait;
halted:
    MAY_DIE;
    atomic {
        if
        :: HOLDS(r) -> if :: releases[r].halt == SUPERSEDE -> end(SUPERSEDED) :: else -> end(CANCELLED) fi
        :: else
        fi
    };
    goto idle;

    /* move.c */
wait:
    MAY_DIE;
    atomic { if :: HOLDS(r) -> let_go(0) :: else fi };
    goto idle;
retry:
    MAY_DIE;
    atomic { if :: HOLDS(r) -> let_go(releases[r].attempt) :: else fi };
    goto idle;
next:
    MAY_DIE;
    atomic {
        if
        :: HOLDS(r) && releases[r].halt == 0 -> releases[r].step++; releases[r].attempt = 1; releases[r].leased = true
        :: HOLDS(r) && releases[r].halt != 0
        :: else -> goto idle
        fi
    };
    goto turn;
fail:
    MAY_DIE;
    atomic { if :: HOLDS(r) -> end(FAILED) :: else fi };
    goto idle;
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
    :: atomic { freezes < FREEZES && releases[1].leased -> freezes++; releases[1].leased = false }
    :: atomic { freezes < FREEZES && RELEASES > 1 && releases[RELEASES].leased -> freezes++; releases[RELEASES].leased = false }
    od
}

proctype Operator()
{
end_operator:
    do
    :: atomic { cancels < CANCELS && releases[1].state == QUEUED -> cancels++; releases[1].state = CANCELLED }
    :: atomic { cancels < CANCELS && releases[1].state == RUNNING && releases[1].halt != CANCEL -> cancels++; releases[1].halt = CANCEL }
    :: atomic { RELEASES > 1 && cancels < CANCELS && releases[RELEASES].state == RUNNING && releases[RELEASES].halt != CANCEL ->
        cancels++; releases[RELEASES].halt = CANCEL }
    od
}

#define IS_AT_REST (ALL_ENDED && busy == 0)

/* When all is over: what AWS runs is what berth says, and that is the newest good release. */
proctype Observer()
{
end_observer:
    atomic {
        IS_AT_REST && (primary == 0 || says[primary] != GOING) ->
        assert(IS_RIGHT);                  /* what AWS runs is what berth says */
        assert(releases[RELEASES].state == LIVE || releases[RELEASES].state == CANCELLED || nature[RELEASES] != GOOD);
        assert(releases[1].state != LIVE || live >= 1);
        assert(releases[RELEASES].state != LIVE || live == RELEASES)
    }
}

/* Nothing moves any more: then everything must have ended. */
proctype Watchdog()
{
end_watchdog:
    timeout -> assert(IS_AT_REST)
}

init {
    byte i = 1;
    atomic {
        do
        :: i <= RELEASES ->
#ifndef ALL_GOOD
            if :: nature[i] = GOOD :: nature[i] = BREAKS_IN_BUILD :: nature[i] = BREAKS_IN_ROLLOUT fi;
#endif
            i++
        :: else -> break
        od;
        run Worker(1);
        run Worker(2);
        run Aws();
        run Freezer();
        run Operator();
        run Observer();
        run Watchdog()
    };
    push(1);
#if RELEASES > 1
    push(2)
#endif
}

#ifdef PROGRESS
ltl everything_ends { <> (IS_AT_REST) }
#endif
