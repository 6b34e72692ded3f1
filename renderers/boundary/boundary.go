// Package boundary is how a renderer and its host speak: JSON through the module's linear memory, and files beside it as they are.
//
// The host asks for room with allocate, writes a request there, and calls run; the answer's place and size come back as one
// number, pointer<<32|size. Both buffers belong to the caller until it frees them.
//
//	request: the length of the JSON in four bytes, the lowest first; {"function": NAME, "input": ANY, "files": [{"name": TEXT,
//	         "size": NUMBER}]}; then the contents of the files, one after another
//	answer:  {"output": ANY} or {"error": {"message": TEXT, "file": TEXT, "line": NUMBER}}
//
// A call leaves nothing behind that a later one could see: functions keep no state but what their input cannot change.
package boundary

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"unsafe"
)

// Function answers one kind of request. Its output is what encoding/json makes of the value. The files are parts of the request.
type Function = func(input json.RawMessage, files map[string][]byte) (any, error)

// Error is a failure with its place, as far as that is known.
type Error struct {
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

func (e *Error) Error() string { return e.Message }

type request struct {
	Function string          `json:"function"`
	Input    json.RawMessage `json:"input"`
	Files    []struct {
		Name string `json:"name"`
		Size int    `json:"size"`
	} `json:"files"`
}

const (
	garbage = 400       // percent of what is in use: most calls end, and with them their instance, before that
	enough  = 192 << 20 // bytes; near the host's cap on an instance garbage is collected whatever there is of it
)

var (
	functions map[string]Function
	buffers   = map[uint32][]byte{} // keeps what the host holds from the garbage collector
)

// Serve names the functions of this module. Called once, from init.
func Serve(all map[string]Function) { functions = all }

// Started is the end of a module's init: from here on its memory is what each call begins with.
func Started() {
	runtime.GC()
	debug.SetGCPercent(garbage)
	debug.SetMemoryLimit(enough)
}

//go:wasmexport allocate
func allocate(size uint32) uint32 {
	return keep(make([]byte, max(size, 1)))
}

//go:wasmexport free
func free(pointer uint32) {
	delete(buffers, pointer)
}

//go:wasmexport run
func run(pointer, size uint32) uint64 {
	buffer, known := buffers[pointer]
	var answer []byte
	if !known || uint64(size) > uint64(len(buffer)) {
		answer = fail(errors.New("the request is in no buffer of this module"))
	} else {
		answer = handle(buffer[:size])
	}
	return uint64(keep(answer))<<32 | uint64(len(answer))
}

func keep(buffer []byte) uint32 {
	pointer := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(buffer))))
	buffers[pointer] = buffer
	return pointer
}

// handle turns a panic into an error: what had been begun is garbage, and no function keeps state.
func handle(message []byte) (answer []byte) {
	defer func() {
		if cause := recover(); cause != nil {
			answer = fail(fmt.Errorf("the renderer panicked: %v%s", cause, where()))
		}
	}()
	asked, files, err := take(message)
	if err != nil {
		return fail(err)
	}
	function, known := functions[asked.Function]
	if !known {
		return fail(fmt.Errorf("this module has no function %q", asked.Function))
	}
	output, err := function(asked.Input, files)
	if err != nil {
		return fail(err)
	}
	answer, err = json.Marshal(map[string]any{"output": output})
	if err != nil {
		return fail(fmt.Errorf("the output is no JSON: %w", err))
	}
	return answer
}

// take reads a request.
func take(message []byte) (asked request, files map[string][]byte, err error) {
	if len(message) < 4 || uint64(binary.LittleEndian.Uint32(message)) > uint64(len(message)-4) {
		return asked, nil, errors.New("the request is cut off")
	}
	head, rest := message[4:4+binary.LittleEndian.Uint32(message)], message[4+binary.LittleEndian.Uint32(message):]
	if err := json.Unmarshal(head, &asked); err != nil {
		return asked, nil, fmt.Errorf("the request is no JSON: %w", err)
	}
	files = make(map[string][]byte, len(asked.Files))
	for _, file := range asked.Files {
		if file.Size < 0 || file.Size > len(rest) {
			return asked, nil, fmt.Errorf("the file %q is cut off", file.Name)
		}
		files[file.Name], rest = rest[:file.Size:file.Size], rest[file.Size:]
	}
	return asked, files, nil
}

// where names the function that panicked, for who repairs it.
func where() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	for {
		frame, more := frames.Next()
		if frame.Function != "" && frame.Function != "runtime.gopanic" && frame.Function != "runtime.panicmem" &&
			frame.Function != "runtime.sigpanic" && frame.Function != "runtime.goPanicIndex" {
			return " in " + frame.Function
		}
		if !more {
			return ""
		}
	}
}

func fail(err error) []byte {
	var placed *Error
	if !errors.As(err, &placed) {
		placed = &Error{Message: err.Error()}
	} else if placed.Message != err.Error() {
		placed = &Error{Message: err.Error(), File: placed.File, Line: placed.Line}
	}
	answer, _ := json.Marshal(map[string]any{"error": placed})
	return answer
}
