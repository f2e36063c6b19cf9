//! The memory of a component. Most calls need little, and each call may have a fresh instance: they get memory that is there
//! when the instance starts. Memory that grows has to be taken away again by the host before the next call, with a
//! system call that stops the other threads.

#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;

use dlmalloc::{Allocator, Dlmalloc};

/// The memory that is there at the start, in bytes. It is zero, so it is not in the component.
const FIRST: usize = 256 * 1024;
/// A page of WebAssembly.
const PAGE: usize = 64 * 1024;

#[global_allocator]
static ALLOCATOR: Global =
    Global(UnsafeCell::new(Dlmalloc::new_with_allocator(Memory { taken: UnsafeCell::new(false) })));

static ARENA: Arena = Arena(UnsafeCell::new([0; FIRST]));

#[repr(align(16))]
struct Arena(UnsafeCell<[u8; FIRST]>);

/// Where the allocator gets memory from: first the arena, then by growing.
struct Memory {
    taken: UnsafeCell<bool>,
}

struct Global(UnsafeCell<Dlmalloc<Memory>>);

// SAFETY: a component has one thread, and none of the functions here calls code of others.
unsafe impl Sync for Arena {}
// SAFETY: the same.
unsafe impl Sync for Global {}

// SAFETY: the arena is returned once, whole; grown memory is new. Both are zero, and nothing else uses them.
unsafe impl Allocator for Memory {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        // SAFETY: see `Sync`.
        let taken = unsafe { &mut *self.taken.get() };
        if !*taken && size <= FIRST {
            *taken = true;
            return (ARENA.0.get().cast(), FIRST, 0);
        }
        let pages = size.div_ceil(PAGE);
        match core::arch::wasm32::memory_grow(0, pages) {
            usize::MAX => (ptr::null_mut(), 0, 0),
            before => (before.wrapping_mul(PAGE) as *mut u8, pages.wrapping_mul(PAGE), 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE
    }
}

impl Global {
    #[expect(clippy::mut_from_ref, reason = "see `Sync`")]
    fn inner(&self) -> &mut Dlmalloc<Memory> {
        // SAFETY: see `Sync`. No reference outlives the function that asks for it.
        unsafe { &mut *self.0.get() }
    }
}

// SAFETY: the functions of `Dlmalloc` have the contract of these.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe { self.inner().malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe { self.inner().calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { self.inner().free(place, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe { self.inner().realloc(place, layout.size(), layout.align(), size) }
    }
}
