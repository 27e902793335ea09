package vtl

// The bounds. API Gateway documents the first two; the others are our choice,
// far above what a payload of 128 KB needs.
const (
	maxTemplateBytes = 300 * 1024 // API Gateway quotas: "Mapping template size"
	maxRounds        = 1_000      // of each #foreach; API Gateway quotas: "Number of iterations in a #foreach loop"

	maxOutputBytes = 10 << 20  // of a whole run
	maxBuiltBytes  = 32 << 20  // of all strings, lists and maps that a run makes, kept or not
	maxSteps       = 2_000_000 // nodes visited, and work on long values in portions

	maxNesting      = 100    // of blocks, expressions and strings in a template
	maxMacroDepth   = 20     // as Velocity's velocimacro.max.depth
	maxValueDepth   = 200    // of lists and maps in each other
	maxRangeItems   = 10_000 // of [from..to]
	maxPatternBytes = 1_000  // of a regular expression
	maxPatternSize  = 1_500  // of its program, repetitions written out
	maxMatches      = 100_000

	itemBytes = 48 // what an item of a list or map costs, beside its text

	scanBytes  = 64    // how much text a step looks through
	matchBytes = 4     // by a small regular expression
	pathBytes  = 16    // along a path
	searchCost = 4_000 // of a path with several results: jsonpath bounds its work, but does not tell it
)
