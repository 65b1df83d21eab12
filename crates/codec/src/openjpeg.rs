//! What decoder and encoder share of OpenJPEG: streams in memory, handles that free themselves.
#![allow(unsafe_code)]

use openjpeg_sys as opj;
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;

/// A codec handle.
pub(crate) struct Codec(pub *mut opj::opj_codec_t);

impl Drop for Codec {
    fn drop(&mut self) {
        // SAFETY: created by the library, destroyed once; null is allowed.
        unsafe { opj::opj_destroy_codec(self.0) };
    }
}

/// An image handle.
pub(crate) struct Image(pub *mut opj::opj_image_t);

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: created by the library, destroyed once; null is allowed.
        unsafe { opj::opj_image_destroy(self.0) };
    }
}

/// A stream over bytes in memory, with the state its callbacks work on.
pub(crate) struct Stream<'a> {
    pub handle: *mut opj::opj_stream_t,
    state: *mut State,
    bytes: PhantomData<&'a [u8]>,
}

struct State {
    source: *const u8,
    length: usize,
    at: usize,
    sink: Vec<u8>,
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        // SAFETY: the stream is destroyed once and does not own its state, which came from a box.
        unsafe {
            opj::opj_stream_destroy(self.handle);
            drop(Box::from_raw(self.state));
        }
    }
}

impl<'a> Stream<'a> {
    /// A stream to read from.
    pub fn reader(bytes: &'a [u8]) -> Option<Self> {
        let state = State {
            source: bytes.as_ptr(),
            length: bytes.len(),
            at: 0,
            sink: Vec::new(),
        };
        Self::new(state, true)
    }

    /// A stream to write to.
    pub fn writer() -> Option<Self> {
        Self::new(
            State {
                source: std::ptr::null(),
                length: 0,
                at: 0,
                sink: Vec::new(),
            },
            false,
        )
    }

    fn new(state: State, is_input: bool) -> Option<Self> {
        let length = state.length as u64;
        // SAFETY: takes a flag only.
        let handle = unsafe { opj::opj_stream_default_create(is_input.into()) };
        if handle.is_null() {
            return None;
        }
        let state = Box::into_raw(Box::new(state));
        // SAFETY: the handle is fresh, the state lives until the stream is dropped.
        unsafe {
            opj::opj_stream_set_user_data(handle, state.cast(), None);
            if is_input {
                opj::opj_stream_set_user_data_length(handle, length);
                opj::opj_stream_set_read_function(handle, Some(read));
                opj::opj_stream_set_skip_function(handle, Some(skip));
                opj::opj_stream_set_seek_function(handle, Some(seek));
            } else {
                opj::opj_stream_set_write_function(handle, Some(write));
                opj::opj_stream_set_skip_function(handle, Some(skip_output));
                opj::opj_stream_set_seek_function(handle, Some(seek_output));
            }
        }
        Some(Self {
            handle,
            state,
            bytes: PhantomData,
        })
    }

    /// What was written.
    pub fn into_written(self) -> Vec<u8> {
        // SAFETY: the library is not running, nobody else has the state.
        unsafe { std::mem::take(&mut (*self.state).sink) }
    }
}

unsafe extern "C" fn read(buffer: *mut c_void, size: usize, user: *mut c_void) -> usize {
    // SAFETY: `user` is the state given with the stream; the library calls from one thread.
    let state = unsafe { &mut *user.cast::<State>() };
    let count = size.min(state.length - state.at);
    if count == 0 {
        return usize::MAX;
    }
    // SAFETY: `at + count` is within the source, and `buffer` has `size` bytes.
    unsafe { std::ptr::copy_nonoverlapping(state.source.add(state.at), buffer.cast(), count) };
    state.at += count;
    count
}

unsafe extern "C" fn skip(count: i64, user: *mut c_void) -> i64 {
    // SAFETY: as in `read`.
    let state = unsafe { &mut *user.cast::<State>() };
    let Ok(forward) = usize::try_from(count) else {
        return -1;
    };
    let forward = forward.min(state.length - state.at);
    if forward == 0 && count != 0 {
        return -1;
    }
    state.at += forward;
    forward as i64
}

unsafe extern "C" fn seek(place: i64, user: *mut c_void) -> opj::OPJ_BOOL {
    // SAFETY: as in `read`.
    let state = unsafe { &mut *user.cast::<State>() };
    match usize::try_from(place) {
        Ok(place) if place <= state.length => {
            state.at = place;
            1
        }
        _ => 0,
    }
}

unsafe extern "C" fn write(buffer: *mut c_void, size: usize, user: *mut c_void) -> usize {
    // SAFETY: as in `read`; `buffer` has `size` bytes to read.
    let (state, bytes) = unsafe {
        (
            &mut *user.cast::<State>(),
            std::slice::from_raw_parts(buffer.cast::<u8>(), size),
        )
    };
    let end = state.at + size;
    if state.sink.len() < end {
        state.sink.resize(end, 0);
    }
    state.sink[state.at..end].copy_from_slice(bytes);
    state.at = end;
    size
}

unsafe extern "C" fn skip_output(count: i64, user: *mut c_void) -> i64 {
    // SAFETY: as in `read`.
    let state = unsafe { &mut *user.cast::<State>() };
    match usize::try_from(count) {
        Ok(forward) => {
            state.at += forward;
            count
        }
        Err(_) => -1,
    }
}

unsafe extern "C" fn seek_output(place: i64, user: *mut c_void) -> opj::OPJ_BOOL {
    // SAFETY: as in `read`.
    let state = unsafe { &mut *user.cast::<State>() };
    match usize::try_from(place) {
        Ok(place) if place <= state.sink.len() => {
            state.at = place;
            1
        }
        _ => 0,
    }
}

/// Collects the first error message of a codec.
pub(crate) fn listen(codec: &Codec, first: &mut String) {
    let user: *mut String = first;
    // SAFETY: the codec is fresh; the caller keeps `first` until the codec is gone. Warnings and
    // information are not wanted: without a handler they go nowhere.
    unsafe {
        opj::opj_set_error_handler(codec.0, Some(keep_first), user.cast());
    }
}

unsafe extern "C" fn keep_first(text: *const c_char, user: *mut c_void) {
    // SAFETY: `user` is the string given with the handler, `text` ends with NUL.
    let (first, text) = unsafe { (&mut *user.cast::<String>(), CStr::from_ptr(text)) };
    if first.is_empty() {
        first.push_str(text.to_string_lossy().trim_end());
    }
}
