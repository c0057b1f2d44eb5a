/* SPDX-License-Identifier: MIT */
/*
 * One record: posters, of which one makes it final, against threads that clear it (rules 1 and 40). README.md lists what
 * is checked.
 */
#ifndef NPOST
#define NPOST 2         /* the first one is final */
#endif
#ifndef NCLEAR
#define NCLEAR 2
#endif

#define BO_EMPTY 0
#define BO_WRITING 1
#define BO_RECORD_PENDING 2

byte serial, status = BO_EMPTY;                 /* `state` */
byte tally_serial;                              /* `tally` */
bool sealed, final;
bool due;                                       /* the bit of the record's kind in the target */
byte posted, cleared;

inline close_post(s) {                          /* bo_record_close_post() */
  atomic {
    if
    :: status == BO_RECORD_PENDING && serial == s ->
       assert(!(tally_serial == s && final));
       status = BO_EMPTY; serial++
    :: else
    fi } }

inline count_post(s, flag) {
  atomic {
    if
#ifdef FAULT_LATER
    :: tally_serial > s -> is_over = false
#else
    :: tally_serial > s -> is_over = true
#endif
#ifndef FAULT_SEALED
    :: tally_serial == s && sealed -> is_over = true
#endif
    :: else ->
       is_over = false;
       if :: tally_serial < s -> tally_serial = s; sealed = false; final = false :: else fi;
       final = final || flag
    fi } }

proctype poster(bool flag) { byte s, was; bool mine, is_over;
  do
  :: atomic { s = serial; was = status; mine = false };
     if
     :: was == BO_EMPTY ->
        atomic { if :: status == BO_EMPTY && serial == s -> status = BO_WRITING; mine = true :: else fi };
        if
        :: mine -> count_post(s, flag); assert(!is_over); status = BO_RECORD_PENDING; break
        :: else
        fi
     :: else ->
        count_post(s, flag);
        if
        :: is_over -> close_post(s)
        :: else -> break
        fi
     fi
  od;
  due = true;
  /* A final post is not cleared. */
  atomic { assert(!flag || serial == s); posted++ } }

/* bough_clear() */
proctype clearer() { byte s; bool stands, stays;
#ifndef FAULT_ORDER
  due = false;
#endif
  atomic { s = serial; stands = (status == BO_RECORD_PENDING) };
  if
  :: stands ->
     /* seal_tally() */
     atomic {
       if
       :: tally_serial == s && final -> stays = true
#ifndef FAULT_SEAL
       :: tally_serial == s && !final -> sealed = true
#endif
       :: else
       fi };
     if
#ifdef FAULT_AGAIN
     :: stays
#else
     :: stays -> due = true                     /* make_due_again() */
#endif
     :: else -> close_post(s)
     fi
  :: else
  fi;
#ifdef FAULT_ORDER
  due = false;
#endif
  cleared++ }

/* A record that stands is due. */
proctype after_all() { atomic { posted == NPOST && cleared == NCLEAR -> assert(status == BO_RECORD_PENDING && final && due) } }

init { atomic { byte i;
  run poster(true);
  for (i : 2 .. NPOST) { run poster(false) };
  for (i : 1 .. NCLEAR) { run clearer() };
  run after_all() } }
