package qjs

// entry is a function of the engine.
type entry int

// The functions used here.
const (
	fnInitialize entry = iota
	fnInit
	fnContext
	fnStackSize
	fnMemoryLimit
	fnGcThreshold
	fnOnRejection
	fnMalloc
	fnFree
	fnEval
	fnCall
	fnFreeValue
	fnNewString
	fnToCString
	fnFreeCString
	fnNewCFunction
	fnCapability
	fnNewArray
	fnSetIndex
	fnGetIndex
	fnGetProp
	fnSetProp
	fnNewBytes
	fnArrayBuffer
	fnTypedArray
	fnTypedArrayType
	fnIsArrayBuffer
	fnIsDataView
	fnPromiseState
	fnPromiseResult
	fnIsJob
	fnRunJob
	fnException
	fnThrow
	fnIsFunction
	fnGlobal
	fnGc
	fnEvalModule
	fnCompile
	fnRun
	fnInterrupt
	entries
)

// name returns what the engine exports the function as.
func (e entry) name() string {
	return [entries]string{
		fnInitialize:     "_initialize",
		fnInit:           "qjs_init",
		fnContext:        "qjs_get_context_ptr",
		fnStackSize:      "qjs_set_max_stack_size",
		fnMemoryLimit:    "qjs_set_memory_limit",
		fnGcThreshold:    "qjs_set_gc_threshold",
		fnOnRejection:    "qjs_set_promise_rejection_handler",
		fnMalloc:         "wasm_malloc",
		fnFree:           "wasm_free",
		fnEval:           "JS_Eval",
		fnCall:           "JS_Call",
		fnFreeValue:      "JS_FreeValue",
		fnNewString:      "JS_NewStringLen",
		fnToCString:      "JS_ToCStringLen2",
		fnFreeCString:    "JS_FreeCString",
		fnNewCFunction:   "JS_NewCFunctionData2",
		fnCapability:     "JS_NewPromiseCapability",
		fnNewArray:       "JS_NewArray",
		fnSetIndex:       "JS_SetPropertyUint32",
		fnGetIndex:       "JS_GetPropertyUint32",
		fnGetProp:        "JS_GetPropertyStr",
		fnSetProp:        "JS_SetPropertyStr",
		fnNewBytes:       "JS_NewUint8ArrayCopy",
		fnArrayBuffer:    "JS_GetArrayBuffer",
		fnTypedArray:     "JS_GetTypedArrayBuffer",
		fnTypedArrayType: "JS_GetTypedArrayType",
		fnIsArrayBuffer:  "JS_IsArrayBuffer",
		fnIsDataView:     "JS_IsDataView",
		fnPromiseState:   "JS_PromiseState",
		fnPromiseResult:  "JS_PromiseResult",
		fnIsJob:          "qjs_is_job_pending",
		fnRunJob:         "qjs_execute_pending_job",
		fnException:      "JS_GetException",
		fnThrow:          "JS_Throw",
		fnIsFunction:     "JS_IsFunction",
		fnGlobal:         "JS_GetGlobalObject",
		fnGc:             "qjs_run_gc",
		fnEvalModule:     "qjs_eval",
		fnCompile:        "qjs_compile",
		fnRun:            "qjs_eval_bytecode",
		fnInterrupt:      "qjs_set_interrupt_handler",
	}[e]
}
