# SPDX-License-Identifier: MIT
# bundle.cmake - one page out of page/: template, style and scripts, in the order they are named.
#
#   cmake -D frame=FILE -D subject=TEXT -D html=FILE -D style=FILE -D scripts=FILE,FILE... -D head=OUT -D tail=OUT
#     -P bundle.cmake
#
# The frame, up to the controls, is the same for all pages, but for what they say that they draw.
# The page may run this one script and use this one style, by their hashes, and nothing else: no
# request can leave it. It is cut in two where the template says @DATA@.
cmake_minimum_required(VERSION 3.18)

# The base64 of a SHA-256 that is given in hexadecimal.
function(encode_hash hex out)
  set(digits ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
  set(text "")
  foreach(at RANGE 0 60 6)
    string(SUBSTRING "${hex}00" ${at} 6 group)
    foreach(shift 18 12 6 0)
      math(EXPR digit "(0x${group} >> ${shift}) & 63")
      string(SUBSTRING ${digits} ${digit} 1 letter)
      string(APPEND text ${letter})
    endforeach()
  endforeach()
  string(SUBSTRING ${text} 0 43 text)
  set(${out} "sha256-${text}=" PARENT_SCOPE)
endfunction()

function(forbid text word)
  string(FIND "${text}" "${word}" at)
  if(NOT at EQUAL -1)
    message(FATAL_ERROR "a part of the page holds ${word}, which would end it")
  endif()
endfunction()

file(READ ${frame} frame)
file(READ ${html} html)
string(REPLACE "@SUBJECT@" "${subject}" frame "${frame}")
string(REPLACE "@FRAME@\n" "${frame}" html "${html}")
file(READ ${style} style)
set(script "(() => {\n\"use strict\";\n")
string(REPLACE "," ";" scripts "${scripts}")
foreach(file ${scripts})
  file(READ ${file} text)
  string(APPEND script "${text}\n")
endforeach()
string(APPEND script "})();\n")
forbid("${script}" "</script")
forbid("${script}" "<!--")
forbid("${style}" "</style")

string(SHA256 script_hash "${script}")
string(SHA256 style_hash "${style}")
encode_hash(${script_hash} script_hash)
encode_hash(${style_hash} style_hash)
string(REPLACE "@POLICY@"
  "default-src 'none'; script-src '${script_hash}'; style-src '${style_hash}'; base-uri 'none'; form-action 'none'"
  html "${html}")
string(REPLACE "@STYLE@" "${style}" html "${html}")
string(REPLACE "@SCRIPT@" "${script}" html "${html}")

string(FIND "${html}" "@DATA@" at)
math(EXPR behind "${at} + 6")
string(SUBSTRING "${html}" 0 ${at} first)
string(SUBSTRING "${html}" ${behind} -1 second)
file(WRITE ${head} "${first}")
file(WRITE ${tail} "${second}")
