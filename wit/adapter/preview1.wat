;; WASI preview 1 as a Hookwright plugin may have it: time, randomness and printing are the host's own interfaces, and
;; there is nothing else. No arguments, no environment, no files, no sockets.
;;
;; The component encoder puts this module between a runtime that was compiled for WASI (Go's, or a C library) and the
;; host, and drops whatever the runtime does not call together with the imports that only that needed. It works in the
;; runtime's memory and never allocates there.
;;
;; While the host hands over a list it calls the runtime's allocator, and nothing may leave the component then: it would
;; be a trap. A collector that runs in the allocator asks for the time, though. So a runtime that collects there
;; says so with `hookwright_hold`; while held, everything is answered from here.
(module
  (import "hookwright:plugin/clock@0.1.0" "now-ms" (func $now_ms (result f64)))
  (import "hookwright:plugin/random@0.1.0" "bits" (func $bits (result i32)))
  (import "hookwright:plugin/log@0.1.0" "print" (func $print (param i32 i32)))
  (import "env" "memory" (memory 0))

  ;; Nanoseconds of every clock but the wall's. It moves at each reading and never goes back.
  (global $ticks (mut i64) (i64.const 1))
  ;; The wall's clock as it was last read, in nanoseconds since 1970.
  (global $wall (mut i64) (i64.const 0))
  ;; How many holds are open.
  (global $held (mut i32) (i32.const 0))

  ;; Begins a stretch (1) in which no import may be called, or ends one (0). They nest.
  (func (export "hookwright_hold") (param $begins i32)
    (global.set $held
      (i32.add (global.get $held) (select (i32.const 1) (i32.const -1) (local.get $begins)))))

  (func $tick (result i64)
    (global.set $ticks (i64.add (global.get $ticks) (i64.const 1000)))
    (global.get $ticks))

  ;; 32 bits from the host, or, while held, a mix of the counter (the finisher of MurmurHash3).
  (func $some_bits (result i32)
    (local $mix i64)
    (if (i32.eqz (global.get $held)) (then (return (call $bits))))
    (local.set $mix (call $tick))
    (local.set $mix (i64.mul
      (i64.xor (local.get $mix) (i64.shr_u (local.get $mix) (i64.const 33))) (i64.const 0xff51afd7ed558ccd)))
    (local.set $mix (i64.mul
      (i64.xor (local.get $mix) (i64.shr_u (local.get $mix) (i64.const 33))) (i64.const 0xc4ceb9fe1a85ec53)))
    (i32.wrap_i64 (i64.shr_u (local.get $mix) (i64.const 32))))

  ;; Clock 0 is the wall's: the instant of the call, which stands still while it lasts.
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $to i32) (result i32)
    (if (local.get $clock)
      (then (i64.store (local.get $to) (call $tick)))
      (else
        (if (i32.eqz (global.get $held))
          (then
            (global.set $wall (i64.mul (i64.trunc_sat_f64_u (call $now_ms)) (i64.const 1000000)))))
        (i64.store (local.get $to) (global.get $wall))))
    (i32.const 0))

  (func (export "clock_res_get") (param $clock i32) (param $to i32) (result i32)
    (i64.store (local.get $to)
      (select (i64.const 1000) (i64.const 1000000) (local.get $clock)))
    (i32.const 0))

  (func (export "random_get") (param $to i32) (param $count i32) (result i32)
    (local $four i32)
    (block $rest
      (loop $words
        (br_if $rest (i32.lt_u (local.get $count) (i32.const 4)))
        (i32.store align=1 (local.get $to) (call $some_bits))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))
        (local.set $count (i32.sub (local.get $count) (i32.const 4)))
        (br $words)))
    (if (i32.eqz (local.get $count)) (then (return (i32.const 0))))
    (local.set $four (call $some_bits))
    (loop $bytes
      (i32.store8 (local.get $to) (local.get $four))
      (local.set $four (i32.shr_u (local.get $four) (i32.const 8)))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $bytes (local.get $count)))
    (i32.const 0))

  ;; What is printed on 1 and 2 goes to the log, straight from where it stands. While held it is lost.
  (func (export "fd_write") (param $fd i32) (param $pieces i32) (param $count i32) (param $to i32) (result i32)
    (local $length i32)
    (local $sum i32)
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1))
      (then (return (i32.const 8)))) ;; badf
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $length (i32.load offset=4 (local.get $pieces)))
        (if (i32.and (i32.ne (local.get $length) (i32.const 0)) (i32.eqz (global.get $held)))
          (then (call $print (i32.load (local.get $pieces)) (local.get $length))))
        (local.set $sum (i32.add (local.get $sum) (local.get $length)))
        (local.set $pieces (i32.add (local.get $pieces) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $to) (local.get $sum))
    (i32.const 0))

  ;; Standard input is empty.
  (func (export "fd_read") (param $fd i32) (param $pieces i32) (param $count i32) (param $to i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8)))) ;; badf
    (i32.store (local.get $to) (i32.const 0))
    (i32.const 0))

  ;; The three standard streams are terminals that may be read and written; there is nothing else.
  (func (export "fd_fdstat_get") (param $fd i32) (param $to i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8)))) ;; badf
    (i64.store align=4 (local.get $to) (i64.const 2)) ;; a character device
    (i64.store offset=8 align=4 (local.get $to) (i64.const 66)) ;; fd_read and fd_write
    (i64.store offset=16 align=4 (local.get $to) (i64.const 0))
    (i32.const 0))

  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "args_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (func (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))

  ;; Whoever waits for a clock has waited at once: the counter moves on by that much. Waiting for anything else is not
  ;; supported.
  (func (export "poll_oneoff")
    (param $wanted i32) (param $events i32) (param $count i32) (param $to i32) (result i32)
    (if (i32.eqz (local.get $count)) (then (return (i32.const 28)))) ;; inval
    (if (i32.load8_u offset=8 (local.get $wanted)) (then (return (i32.const 52)))) ;; nosys
    (if (i32.and (i32.load16_u offset=40 (local.get $wanted)) (i32.const 1)) ;; until, not for
      (then
        (if (i64.gt_u (i64.load offset=24 (local.get $wanted)) (global.get $ticks))
          (then
            (if (i32.load offset=16 (local.get $wanted))
              (then (global.set $ticks (i64.load offset=24 (local.get $wanted))))))))
      (else (global.set $ticks (i64.add (global.get $ticks) (i64.load offset=24 (local.get $wanted))))))
    (i64.store (local.get $events) (i64.load (local.get $wanted)))
    (i64.store offset=8 (local.get $events) (i64.const 0))
    (i64.store offset=16 (local.get $events) (i64.const 0))
    (i64.store offset=24 (local.get $events) (i64.const 0))
    (i32.store (local.get $to) (i32.const 1))
    (i32.const 0))

  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; A plugin that ends itself has failed.
  (func (export "proc_exit") (param i32) (unreachable))

  ;; The rest is not there: no such descriptor (8, badf) or no such function (52, nosys).
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 52))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 52))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 52))
  (func (export "proc_raise") (param i32) (result i32) (i32.const 52))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 52)))
