// Nothing: the target only owns the precompiled headers (CMakeLists.txt).
