/* Numbers by chance from a seed: the same seed gives the same world on every machine. Everything simulated
 * draws from here, each from a state of its own. */
#ifndef SIM_CHANCE_H
#define SIM_CHANCE_H

#include <stdint.h>

/* A state to draw from, never 0; `stream` tells apart what draws from the same seed. */
uint64_t chance_seed(uint64_t seed, uint64_t stream);

double chance_uniform(uint64_t *random); /* 0 <= x < 1 */
double chance_normal(uint64_t *random);  /* mean 0, standard deviation 1, within +-6 */
double chance_flicker(uint64_t *random); /* the same, within +-3.5, in a tenth of the time */
double chance_exponential(uint64_t *random,
                          double mean_s); /* time to the next of events that come by chance */

#endif
