// Package boundary is how a renderer and its host speak: JSON through the module's linear memory.
//
// The host asks for room with allocate, writes a request there, and calls run; the answer's place and size come back as one
// number, pointer<<32|size. Both buffers belong to the caller until it frees them.
//
//	request: {"function": NAME, "input": ANY}
//	answer:  {"output": ANY} or {"error": {"message": TEXT, "file": TEXT, "line": NUMBER}}
//
// A call leaves nothing behind that a later one could see: functions keep no state but what their input cannot change.
package boundary

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// Function answers one kind of request. Its output is what encoding/json makes of the value.
type Function = func(input json.RawMessage) (any, error)

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
}

var (
	functions map[string]Function
	buffers   = map[uint32][]byte{} // keeps what the host holds from the garbage collector
)

// Serve names the functions of this module. Called once, from init.
func Serve(all map[string]Function) { functions = all }

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
	var asked request
	if err := json.Unmarshal(message, &asked); err != nil {
		return fail(fmt.Errorf("the request is no JSON: %w", err))
	}
	function, known := functions[asked.Function]
	if !known {
		return fail(fmt.Errorf("this module has no function %q", asked.Function))
	}
	output, err := function(asked.Input)
	if err != nil {
		return fail(err)
	}
	answer, err = json.Marshal(map[string]any{"output": output})
	if err != nil {
		return fail(fmt.Errorf("the output is no JSON: %w", err))
	}
	return answer
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
