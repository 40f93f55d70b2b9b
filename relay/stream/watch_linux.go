// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// Watch waits on many connections with one goroutine: a goroutine for each direction of
// each tunnel that rests would take 2.5 KiB. All methods may be called concurrently.
//
// It is an epoll instance (epoll(7)) of its own, level-triggered, so that what arrived before
// a connection was added is seen. Each connection is reported once and then taken out. The runtime's
// poller, which has the same sockets, is told of the instance as of any other file.
//
// It never owns a connection: one that is closed disappears without a word, so who
// closes it also calls Remove.
type Watch struct {
	file *os.File // keeps the instance
	poll syscall.RawConn

	mu    sync.Mutex // guards what follows
	beds  []bed
	free  []uint32 // indices of beds
	ended bool
}

// bed is the place of one who waits. Its turn tells an event for who was there before.
type bed struct {
	who  Sleeper // nil if nobody
	raw  syscall.RawConn
	turn uint32
}

// watchOnce is how many events are taken at once.
const watchOnce = 128

// NewWatch makes one. Somebody must call Run.
func NewWatch() (*Watch, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an epoll instance: %w", os.NewSyscallError("epoll_create1", err))
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // so that the runtime polls it
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("making an epoll instance: %w", os.NewSyscallError("fcntl", err))
	}
	w := &Watch{file: os.NewFile(uintptr(fd), "epoll")} //nolint:gosec // a file descriptor
	if w.poll, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, fmt.Errorf("making an epoll instance: %w", err)
	}
	return w, nil
}

// Run wakes sleepers until Close, and then all that still sleep: nobody else would.
func (w *Watch) Run() error {
	defer w.wakeAll()
	var events [watchOnce]syscall.EpollEvent
	var failed error
	err := w.poll.Read(func(fd uintptr) bool {
		for {
			n, errno := look(fd, events[:])
			switch errno {
			case 0:
			case syscall.EINTR:
				continue
			default:
				failed = fmt.Errorf("watching connections: %w", os.NewSyscallError("epoll_pwait", errno))
				return true
			}
			for _, e := range events[:n] {
				w.wake(bedOf(e))
			}
			if n < len(events) {
				return false // the poller tells when there are more
			}
		}
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if failed == nil && !w.ended {
		failed = fmt.Errorf("watching connections: %w", err)
	}
	return failed
}

// look takes the events that are there. It does not wait, so the scheduler is not told of it: see readCall.
func look(fd uintptr, events []syscall.EpollEvent) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0) //nolint:gosec // as package unsafe allows it for system calls
	return int(n), errno                                                                                                                //nolint:gosec // at most len(events)
}

// Close ends Run.
func (w *Watch) Close() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	_ = w.file.Close()
}

func (w *Watch) wakeAll() {
	w.mu.Lock()
	w.ended = true
	beds := w.beds
	w.beds, w.free = nil, nil
	w.mu.Unlock()
	_ = w.file.Close() // so the kernel watches nothing any more
	for _, b := range beds {
		if b.who != nil {
			b.who.Wake()
		}
	}
}

func (w *Watch) add(raw syscall.RawConn, who Sleeper) (Bed, error) {
	b, err := w.make(raw, who)
	if err != nil {
		return 0, err
	}
	if err := w.control(raw, syscall.EPOLL_CTL_ADD, b); err != nil && w.Remove(b) {
		return 0, fmt.Errorf("watching a connection: %w", err)
	}
	return b, nil // or somebody was woken by an end of the Watch
}

// make finds a free bed.
func (w *Watch) make(raw syscall.RawConn, who Sleeper) (Bed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return 0, os.ErrClosed
	}
	var at uint32
	if n := len(w.free); n > 0 {
		at, w.free = w.free[n-1], w.free[:n-1]
	} else {
		at = uint32(len(w.beds)) //nolint:gosec // there are not so many sockets
		w.beds = append(w.beds, bed{})
	}
	b := &w.beds[at]
	b.who, b.raw = who, raw
	b.turn++
	return Bed(b.turn)<<32 | Bed(at), nil
}

// Remove ends a wait; false if its sleeper was woken, or is about to be.
func (w *Watch) Remove(b Bed) bool {
	who, raw := w.clear(b)
	if who == nil {
		return false
	}
	_ = w.control(raw, syscall.EPOLL_CTL_DEL, b) // it may be closed, and so taken out
	return true
}

// wake ends a wait because something has happened.
func (w *Watch) wake(b Bed) {
	who, raw := w.clear(b)
	if who == nil {
		return // somebody else has ended it
	}
	_ = w.control(raw, syscall.EPOLL_CTL_DEL, b)
	who.Wake()
}

// clear makes a bed free, if it is still that of this wait.
func (w *Watch) clear(b Bed) (Sleeper, syscall.RawConn) {
	at, turn := uint32(b), uint32(b>>32) //nolint:gosec // the two halves
	w.mu.Lock()
	defer w.mu.Unlock()
	if int64(at) >= int64(len(w.beds)) {
		return nil, nil
	}
	it := &w.beds[at]
	if it.turn != turn || it.who == nil {
		return nil, nil
	}
	who, raw := it.who, it.raw
	it.who, it.raw = nil, nil
	w.free = append(w.free, at)
	return who, raw
}

// control changes what the kernel watches. The socket is not closed meanwhile, so its number
// is not that of another.
func (w *Watch) control(raw syscall.RawConn, op int, b Bed) error {
	e := eventOf(b)
	var errno error
	err := raw.Control(func(fd uintptr) {
		inner := w.poll.Control(func(epfd uintptr) {
			errno = os.NewSyscallError("epoll_ctl", syscall.EpollCtl(int(epfd), op, int(fd), &e)) //nolint:gosec // file descriptors
		})
		errno = errors.Join(inner, errno)
	})
	return errors.Join(err, errno)
}

// eventOf says what is waited for, and carries the name of the bed: the kernel gives
// these eight bytes back as they are.
func eventOf(b Bed) syscall.EpollEvent {
	return syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(uint32(b)), Pad: int32(uint32(b >> 32)), //nolint:gosec // the two halves
	}
}

func bedOf(e syscall.EpollEvent) Bed {
	return Bed(uint32(e.Pad))<<32 | Bed(uint32(e.Fd)) //nolint:gosec // the two halves
}
