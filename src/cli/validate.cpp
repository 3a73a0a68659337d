// squish validate: everything that can be said about a squishfile without starting it.
#include "base/text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/squishfile_source.h"

#include "os/file.h"

#include <unistd.h>

namespace squish::cli {

namespace {

Result<void> check(const std::string& file) {
    const auto source = TRY(read_source(file));
    const auto squishfile = TRY(parse_source(source));
    return check_layers(source, squishfile);
}

} // namespace

int validate_command(Words words) {
    std::vector<std::string> files;
    Options options("validate [OPTIONS] FILE…",
                    "Checks squishfiles: prints 'ok', or every error as FILE:LINE:COLUMN: message.");
    options.positionals("FILE", files);
    if (const auto code = options.parse(words))
        return *code;
    int code = 0;
    for (const auto& file : files) {
        const auto checked = check(file);
        const auto label = files.size() > 1 ? printable(file) + ": ok\n" : std::string("ok\n");
        if (checked) {
            if (!print(label))
                return 1;
            continue;
        }
        // As compilers do: the place first, so that an editor can jump to it.
        code = 2;
        const auto text = checked.error().text();
        std::string out;
        for (const auto line : split(text, '\n'))
            out += printable(line) + "\n";
        if (!os::write_all(STDERR_FILENO, out))
            return 1;
    }
    return code;
}

} // namespace squish::cli
