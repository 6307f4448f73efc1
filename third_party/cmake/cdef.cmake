# Turns galrun.h into a C string literal, cdef.inc: preprocessed without the system's includes, each line in
# quotes.
execute_process(COMMAND ${CC} -E -P -DGAL_CDEF ${HEADER} OUTPUT_VARIABLE text RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "cdef: ${CC} could not preprocess ${HEADER}")
endif()
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n\"" text "${text}")
file(WRITE ${OUT} "\"${text}\"\n")
