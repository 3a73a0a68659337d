# What every target of ours is compiled with. Linked as `squish_options`.
add_library(squish_options INTERFACE)
target_include_directories(squish_options INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_BINARY_DIR}/generated)
target_compile_options(squish_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
    -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual -fstack-protector-strong)
# GCC 12 sees overlapping copies in `"literal" + string` that are not there (GCC bug 105651).
target_compile_options(squish_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-stringop-overflow>)
# libstdc++ 12's own std::stable_sort uses what it calls deprecated.
target_compile_options(squish_options INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
if(SQUISH_WERROR)
  # Not for tests in the optimised build: GCC 12's warnings that come from the optimiser (-Wstringop-overflow and its like) are
  # wrong too often there. The same tests are compiled with -Werror in the asan build.
  target_compile_options(squish_options INTERFACE $<$<NOT:$<BOOL:$<TARGET_PROPERTY:SQUISH_WARNINGS_ALLOWED>>>:-Werror>)
endif()
if(SQUISH_SANITIZE)
  target_compile_options(squish_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(squish_options INTERFACE -fsanitize=address,undefined)
endif()
if(SQUISH_FUZZ) # coverage of all our code, so that the fuzzer sees what its inputs reach
  target_compile_options(squish_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_compile_definitions(squish_options INTERFACE _GNU_SOURCE)
configure_file(${PROJECT_SOURCE_DIR}/cmake/version.h.in ${PROJECT_BINARY_DIR}/generated/version.h)

# squish_module(NAME SOURCES… [DEPENDS …]): one folder of src/ as one static library, `squish_NAME`.
function(squish_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  if(NOT ARG_SOURCES)
    return()
  endif()
  add_library(squish_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(squish_${name} PUBLIC squish_options ${ARG_DEPENDS})
endfunction()
