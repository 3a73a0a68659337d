// What a program is told of the machine: for testbin.
#pragma once

#include <string>
#include <vector>

int cmd_sysinfo(const std::vector<std::string>& args);
int cmd_cpus(const std::vector<std::string>& args);
int cmd_uptimes(const std::vector<std::string>& args);
int cmd_readers(const std::vector<std::string>& args);
int cmd_hoard(const std::vector<std::string>& args);
int cmd_nibble(const std::vector<std::string>& args);
