// Reads a JSON text whose numbers are one regular array: nested lists, all those of a level as long. What it does not
// understand it leaves to a slower parser: it accepts no text that is not JSON, and refuses some that are.

#include <stdint.h>
#include <string.h>

enum { MOST_LEVELS = 8, MOST_DIGITS = 19 }; // 19 digits always fit 64 bits

static const int64_t LARGEST_INTEGER = INT64_C(1) << 53; // up to it, each integer is a float64
static const int64_t LARGEST_POWER = 22;                 // up to it, each power of ten is a float64
static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
static const char *const KEYS[] = {"inputs\"", "instances\"", "dataframe_records\""};

static inline const char *skip_space(const char *at) {
    while ((unsigned char)*at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    return at;
}

// Adds the digits at `at` to `number`, and returns where they end.
static inline const char *digits(const char *at, uint64_t *number) {
    unsigned digit;
    while ((digit = (unsigned char)*at - (unsigned)'0') <= 9) {
        *number = *number * 10 + digit; // may overflow: then there are too many digits
        at++;
    }
    return at;
}

// Where the number at `at` ends, or NULL if it is none, or one quotient or product of exact float64 is not its value.
// See William D. Clinger, How to Read Floating Point Numbers Accurately, 1990, https://doi.org/10.1145/93542.93557.
static inline const char *read_number(const char *at, double *value) {
    int is_negative = *at == '-';
    const char *start = at += is_negative;
    uint64_t decimal = 0;
    at = digits(at, &decimal);
    int64_t count = at - start, exponent = 0;
    if (count == 0 || (count > 1 && *start == '0')) return NULL;
    int is_integer = 1;
    if (*at == '.') {
        const char *fraction = ++at;
        at = digits(at, &decimal);
        if (at == fraction) return NULL;
        exponent = fraction - at;
        count += at - fraction;
        is_integer = 0;
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        int is_small = *at == '-';
        at += is_small || *at == '+';
        uint64_t power = 0;
        const char *first = at;
        at = digits(at, &power);
        if (at == first || at - first > MOST_DIGITS || power > 2 * (uint64_t)LARGEST_POWER) return NULL;
        exponent += is_small ? -(int64_t)power : (int64_t)power;
        is_integer = 0;
    }
    if (count > MOST_DIGITS || decimal > (uint64_t)LARGEST_INTEGER) return NULL;
    if (exponent < -LARGEST_POWER || exponent > LARGEST_POWER) return NULL;
    double positive = (double)decimal;
    positive = exponent < 0 ? positive / POWERS[-exponent] : positive * POWERS[exponent];
    // An integer has no negative zero.
    *value = is_negative && !(is_integer && decimal == 0) ? -positive : positive;
    return at;
}

// Where the key at `at`, after its first quotation mark, ends; NULL if it is not one of KEYS.
static const char *read_key(const char *at) {
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        size_t length = strlen(KEYS[i]);
        if (strncmp(at, KEYS[i], length) == 0) return at + length;
    }
    return NULL;
}

// Reads `text`, which has `length` bytes and a NUL after them: an array, or an object whose only key is one of KEYS and
// has an array. Writes its numbers to `values`, of which there may be `capacity`, and the lengths of its levels to
// `lengths`, which has room for MOST_LEVELS. Returns how many levels there are, or 0 for any other text.
int64_t read_regular_json(const char *text, size_t length, double *values, size_t capacity, int64_t *lengths) {
    const char *at = skip_space(text);
    int is_object = *at == '{';
    if (is_object) {
        at = skip_space(at + 1);
        if (*at != '"' || !(at = read_key(at + 1))) return 0;
        at = skip_space(at);
        if (*at != ':') return 0;
        at = skip_space(at + 1);
    }
    int levels = 0;
    int64_t counts[MOST_LEVELS];
    while (*at == '[') {
        if (levels == MOST_LEVELS) return 0;
        lengths[levels] = -1;
        counts[levels++] = 0;
        at = skip_space(at + 1);
    }
    if (levels == 0) return 0;
    const int last = levels - 1;
    size_t count = 0;
    for (int level = last; level >= 0;) { // once for each list of numbers
        size_t before = count;
        for (;;) {
            if (count == capacity || !(at = read_number(at, &values[count]))) return 0;
            count++;
            at = skip_space(at);
            if (*at != ',') break;
            at = skip_space(at + 1);
        }
        counts[last] = (int64_t)(count - before);
        for (level = last;;) { // once for each list that ends here
            if (*at != ']') return 0;
            if (lengths[level] < 0) lengths[level] = counts[level];
            if (lengths[level] != counts[level]) return 0;
            counts[level] = 0;
            at = skip_space(at + 1);
            if (--level < 0) break;
            counts[level]++;
            if (*at == ',') {
                at = skip_space(at + 1);
                break;
            }
        }
        if (level < 0) break;
        for (; level < last; level++) { // the lists that begin here
            if (*at != '[') return 0;
            at = skip_space(at + 1);
        }
    }
    if (is_object) {
        if (*at != '}') return 0;
        at = skip_space(at + 1);
    }
    return at == text + length ? levels : 0;
}
